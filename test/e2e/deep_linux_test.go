package e2e

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestATreeOfTwoThousandLevelsComesBack(t *testing.T) {
	t.Parallel()
	needs(t, "python3", "python3")
	b := newBox(t)
	src := b.path("src")
	must(t, os.Mkdir(src, 0o755))
	at, err := unix.Open(src, unix.O_PATH|unix.O_DIRECTORY, 0)
	must(t, err)
	for level := range 2000 {
		name := fmt.Sprintf("level %d", level)
		must(t, unix.Mkdirat(at, name, 0o700))
		next, err := unix.Openat(at, name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
		must(t, err)
		must(t, unix.Close(at))
		at = next
		f, err := unix.Openat(at, "file", unix.O_CREAT|unix.O_WRONLY, 0o640)
		must(t, err)
		_, err = unix.Write(f, fmt.Append(nil, "at level ", level))
		must(t, err)
		must(t, unix.Close(f))
		must(t, unix.Symlinkat("file", at, "link"))
		must(t, unix.UtimesNanoAt(at, "file", []unix.Timespec{{Sec: 1}, {Sec: int64(level), Nsec: int64(level)}}, 0))
		if level%3 == 0 {
			must(t, unix.Fchmod(at, 0o2755))
		}
	}
	must(t, unix.Close(at))
	s := b.backup(t, src)
	if s.Stats.Files != 2000 {
		t.Errorf("summary %+v", s)
	}
	b.nacre(t, "restore", "latest:"+src, "--target", b.path("out"), "--set-id")
	script, err := filepath.Abs("testdata/walk.py")
	must(t, err)
	want, got := tool(t, b.dir, "python3", script, src), tool(t, b.dir, "python3", script, b.path("out"))
	if want != got || len(want) < 2000*60 {
		t.Errorf("the trees differ: %d and %d bytes of listing", len(want), len(got))
	}
}

// island is a stretch of data and its hash.
type island struct {
	from, to int64
	hash     [32]byte
}

func islands(t *testing.T, name string) []island {
	t.Helper()
	f, err := os.Open(name)
	must(t, err)
	defer f.Close()
	info, err := f.Stat()
	must(t, err)
	var out []island
	for off := int64(0); off < info.Size(); {
		from, err := unix.Seek(int(f.Fd()), off, unix.SEEK_DATA)
		if err == unix.ENXIO { //nolint:errorlint // a bare errno
			break
		}
		must(t, err)
		to, err := unix.Seek(int(f.Fd()), from, unix.SEEK_HOLE)
		must(t, err)
		data := make([]byte, to-from)
		_, err = f.ReadAt(data, from)
		must(t, err)
		out = append(out, island{from, to, sha256.Sum256(data)})
		off = to
	}
	return out
}

func TestASparseFileOfATebibyteComesBack(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	src := b.path("src")
	must(t, os.Mkdir(src, 0o755))
	name := filepath.Join(src, "sparse")
	f, err := os.Create(name)
	must(t, err)
	for _, at := range []int64{0, 300 << 30, 1<<40 - 1<<20} {
		if _, err := f.WriteAt(noise(1<<20), at); err != nil {
			must(t, f.Close())
			t.Skipf("needs a file system with files of 1 TiB: %v", err)
		}
	}
	must(t, f.Close())
	s := b.backup(t, src)
	if s.Stats.ReadBytes > 8<<20 {
		t.Errorf("%d bytes were read", s.Stats.ReadBytes)
	}
	b.nacre(t, "restore", "latest:"+src, "--target", b.path("out"))
	want, got := islands(t, name), islands(t, b.path("out", "sparse"))
	if !slices.Equal(want, got) || len(want) != 3 {
		t.Errorf("data at %v, want %v", ranges(got), ranges(want))
	}
	info, err := os.Stat(b.path("out", "sparse"))
	must(t, err)
	if info.Size() != 1<<40 {
		t.Errorf("size %d", info.Size())
	}
}

func ranges(is []island) (out [][2]int64) {
	for _, i := range is {
		out = append(out, [2]int64{i.from, i.to})
	}
	return out
}
