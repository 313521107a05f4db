//go:build !portable

package files

import (
	"testing"

	"golang.org/x/sys/unix"
)

// A goroutine that hangs in a system call outlives the source. Its directory must stay open: the number of its
// descriptor may be another file's by the time it comes back.
func TestClosingTheSourceLeavesADirectoryInUseOpen(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	build(t, root, "a/f")
	s := open(t, Options{Roots: []string{root}})
	v := walkAll(t, s)
	h, err := s.dirs.acquire(v.entries[top(root)+"a/f"].Handle.(*ref).dir)
	must(t, err)
	must(t, s.Close())
	var st unix.Stat_t
	must(t, unix.Fstat(h.fd, &st))
	s.dirs.release(h)
	if s.dirs.count != 0 {
		t.Errorf("%d directories stay open", s.dirs.count)
	}
}
