package files

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/nacre-backup/nacre/internal/sink/sinktest"
	"github.com/nacre-backup/nacre/internal/tree"
)

// TestAMountThatMayNotBeReadIsRestoredInto restores below a directory of another file system that may be entered and
// not read, so that it has no descriptor for the sync at the end; as root it runs itself again as a user without rights.
func TestAMountThatMayNotBeReadIsRestoredInto(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if os.Geteuid() == 0 {
		asUser(t, dir, "TestAMountThatMayNotBeReadIsRestoredInto")
		return
	}
	mount := filepath.Join(dir, "mount")
	if err := os.Mkdir(mount, 0o300); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(mount, 0o700) }) // the folder is removed in the end; failing that says so
	s, err := newLinux(dir, Options{NoSync: true}, &losses{})
	if err != nil {
		t.Fatal(err)
	}
	s.dirs.root.dev++ // whatever is below the target is another file system's
	m, f, d := sinktest.Entry("mount", tree.Dir), sinktest.Entry("f", tree.File), sinktest.Entry("d", tree.Dir)
	m.Flags = tree.Implied
	sinktest.Put(t, s, "", m, "")
	sinktest.Put(t, s, "mount", f, "content")
	if len(s.dirs.devs) != 0 || len(s.dirs.closed) != 1 {
		t.Errorf("%d descriptors, %d file systems without, want none and one", len(s.dirs.devs), len(s.dirs.closed))
	}
	sinktest.Put(t, s, "mount", d, "")
	sinktest.Put(t, s, "mount/d", f, "content")
	if len(s.dirs.devs) != 1 || len(s.dirs.closed) != 0 {
		t.Errorf("%d descriptors, %d file systems without, once a directory can be read", len(s.dirs.devs), len(s.dirs.closed))
	}
	sinktest.Close(t, s)
	for _, name := range []string{"mount/f", "mount/d/f"} {
		if got := read(t, filepath.Join(dir, name)); got != "content" {
			t.Errorf("%s: %q", name, got)
		}
	}
}
