package restore_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nacre-backup/nacre/internal/restore"
	"github.com/nacre-backup/nacre/internal/sink"
	"github.com/nacre-backup/nacre/internal/sink/files"
	"github.com/nacre-backup/nacre/internal/store"
	"github.com/nacre-backup/nacre/internal/store/local"
	"github.com/nacre-backup/nacre/internal/tree"
)

// mortal is a sink that ends the process with SIGKILL at its n-th call.
type mortal struct {
	*files.Sink
	calls, deadline atomic.Int64
}

func (m *mortal) tick() {
	if m.calls.Add(1) == m.deadline.Load() {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // until it arrives
	}
}

type mortalFile struct {
	sink.File
	m *mortal
}

func (m *mortal) Begin(ctx context.Context, dir []byte, e *tree.Entry) (sink.File, error) {
	m.tick()
	f, err := m.Sink.Begin(ctx, dir, e)
	if f == nil || err != nil {
		return f, err
	}
	return &mortalFile{f, m}, nil
}

func (m *mortal) Close(ctx context.Context) error {
	m.tick()
	return m.Sink.Close(ctx)
}

func (f *mortalFile) WriteAt(p []byte, off int64) (int, error) {
	n := len(p) / 2
	if _, err := f.File.WriteAt(p[:n], off); err != nil {
		return 0, err
	}
	f.m.tick() // in the middle of a write
	m, err := f.File.WriteAt(p[n:], off+int64(n))
	return n + m, err
}

func (f *mortalFile) Finish(ctx context.Context) error {
	f.m.tick()
	return f.File.Finish(ctx)
}

// TestAKilledRestoreIsMadeWholeByTheNext kills the process of a restore at many moments, always the same files half
// done, and restores again by each overwrite rule.
func TestAKilledRestoreIsMadeWholeByTheNext(t *testing.T) {
	if spec := os.Getenv("NACRE_TEST_RESTORE"); spec != "" {
		dieRestoring(t, spec)
		return
	}
	t.Parallel()
	objects := append(small(), linked("home/u", "l1", 1, 2, noise(6, 5000)), linked("home/u/sub", "l2", 1, 2, noise(6, 5000)))
	s := vault(t, objects)
	repo := t.TempDir()
	copyStore(t, s, repo)
	exe, err := os.Executable()
	must(t, err)
	for n := 1; ; n += 3 {
		target := t.TempDir()
		cmd := exec.Command(exe, "-test.run", "^TestAKilledRestoreIsMadeWholeByTheNext$")
		cmd.Env = append(os.Environ(), fmt.Sprintf("NACRE_TEST_RESTORE=%d|%s|%s|%s", n, s.snap.ID, repo, target))
		out, err := cmd.CombinedOutput()
		if err == nil {
			if n < 20 {
				t.Errorf("the run has %d calls only: the test shows nothing", n)
			}
			return
		}
		if !strings.Contains(err.Error(), "killed") {
			t.Fatalf("run %d: %v\n%s", n, err, out)
		}
		rule := []files.Overwrite{files.Never, files.IfChanged, files.Always}[n%3]
		sum := run(t, s, target, files.Options{Overwrite: rule}, restore.Options{Verify: true})
		if d := cmp.Diff(want(objects, same), listing(t, target)); d != "" || sum.Incomplete() {
			t.Errorf("killed at call %d, rule %d: %s\n%+v", n, rule, d, sum)
		}
		for _, name := range []string{"sub", "sub2/deep", "big"} {
			fi, err := os.Stat(filepath.Join(target, "home", "u", name))
			must(t, err)
			i := slices.IndexFunc(objects, func(o object) bool {
				return string(tree.JoinPath(nil, []byte(o.dir), o.entry.Name)) == "home/u/"+name
			})
			if e := objects[i].entry; uint32(fi.Mode().Perm()) != e.Mode || fi.Mode()&os.ModeSticky != 0 || fi.ModTime().Unix() != e.ModTime.Sec {
				t.Errorf("killed at call %d, rule %d: %s has mode %v and time %v", n, rule, name, fi.Mode(), fi.ModTime())
			}
		}
	}
}

// dieRestoring is the process that is killed.
func dieRestoring(t *testing.T, spec string) {
	part := strings.SplitN(spec, "|", 4)
	n, err := strconv.ParseInt(part[0], 10, 64)
	must(t, err)
	st, err := local.Open(t.Context(), part[2], local.Options{})
	must(t, err)
	s := &snapshot{repo: reopen(t, st)}
	v := s.open(t)
	s.snap, err = v.Resolve(part[1])
	must(t, err)
	to, err := files.New(part[3], files.Options{NoSync: true})
	must(t, err)
	m := &mortal{Sink: to}
	m.deadline.Store(n)
	_, err = restore.Run(t.Context(), v, s.snap, m, restore.Options{Workers: 1})
	must(t, err)
}

// copyStore puts the objects of a store in memory into a folder.
func copyStore(t *testing.T, s *snapshot, dir string) {
	t.Helper()
	to, err := local.Open(t.Context(), dir, local.Options{Create: true})
	must(t, err)
	for _, name := range s.objects(t, "") {
		must(t, to.Put(t.Context(), name, store.Bytes(bytes.Clone(s.store.Bytes(name)))))
	}
	must(t, to.Flush(t.Context()))
	must(t, to.Close())
}
