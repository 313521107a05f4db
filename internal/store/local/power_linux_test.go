package local

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/nacre-backup/nacre/internal/store"
)

// goingDown is the request that stops a file system at once: EXT4_IOC_SHUTDOWN, and 2 for not writing the journal out.
const (
	goingDown  = 0x8004587d
	noLogFlush = 2
)

// disk is an ext4 in a loop file.
type disk struct {
	t    *testing.T
	loop string
	dir  string
}

func newDisk(t *testing.T) *disk {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	mkfs := tool(t, "e2fsprogs", "mkfs.ext4")
	image := filepath.Join(t.TempDir(), "disk")
	if err := errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, 128<<20)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(mkfs, "-q", image).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ext4: %v: %s", err, out)
	}
	dev, err := exec.Command("losetup", "--find", "--show", image).Output()
	if err != nil {
		t.Skipf("needs loop devices: %v", err)
	}
	d := &disk{t, strings.TrimSpace(string(dev)), t.TempDir()}
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "--detach", d.loop).CombinedOutput(); err != nil {
			t.Errorf("losetup --detach: %v: %s", err, out)
		}
	})
	unmountAtEnd(t, d.dir)
	d.mount()
	return d
}

func (d *disk) mount() {
	d.t.Helper()
	if err := syscall.Mount(d.loop, d.dir, "ext4", 0, ""); err != nil {
		d.t.Skipf("needs root that may mount ext4: %v", err)
	}
}

// cut takes the power away: what is in memory only is lost.
func (d *disk) cut(s *Store) {
	d.t.Helper()
	f, err := os.Open(d.dir)
	if err != nil {
		d.t.Fatal(err)
	}
	flags := uint32(noLogFlush)
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), goingDown, uintptr(unsafe.Pointer(&flags)))
	_ = errors.Join(f.Close(), s.Close()) // the disk is dead
	if errno != 0 {
		d.t.Skipf("needs a kernel whose ext4 can be shut down: %v", errno)
	}
	if err := syscall.Unmount(d.dir, 0); err != nil {
		d.t.Fatal(err)
	}
	d.mount()
}

func TestWhatWasFlushedSurvivesAPowerCut(t *testing.T) {
	t.Parallel()
	d := newDisk(t)
	for round := range 4 {
		s, err := Open(t.Context(), d.dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		put := func(name string, n int) {
			t.Helper()
			w, err := s.Stream(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(make([]byte, n)); err != nil {
				t.Fatal(err)
			}
			if err := w.Commit(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
		sizes := map[string]int64{}
		for i, n := range []int{1, 700, 3<<20 + 5} {
			name := fmt.Sprintf("data/%d/%d", round, i)
			put(name, n)
			sizes[name] = int64(n)
		}
		if err := s.PutIfAbsent(t.Context(), fmt.Sprintf("fates/%d", round), store.Bytes("fate")); err != nil {
			t.Fatal(err)
		}
		sizes[fmt.Sprintf("fates/%d", round)] = 4
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		later := fmt.Sprintf("data/%d/later", round)
		if round%2 == 1 { // its sync writes the journal out, and with that everything before it
			put(later, 2<<20)
		}
		d.cut(s)

		s, err = Open(t.Context(), d.dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for name, size := range sizes {
			if i, err := s.Stat(t.Context(), name); err != nil || i.Size != size {
				t.Errorf("round %d: %s was flushed and is %+v, %v", round, name, i, err)
			}
		}
		// What was put and not flushed is whole or absent.
		if i, err := s.Stat(t.Context(), later); err == nil && i.Size != 2<<20 {
			t.Errorf("round %d: %s has %d bytes", round, later, i.Size)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
