package corpus

import (
	"bufio"
	"io"
	"io/fs"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
)

const (
	bigName = "disk.img"
	bigSize = 8 << 30
)

// makeBIG lays out extents of 64 KiB to 8 MiB: noise, bytes of installed files, zeros that take up space.
func (c Corpus) makeBIG() (made []string, err error) {
	r := seeded(3)
	files := &installed{}
	defer files.close()
	total := max(8<<20, int64(bigSize*c.Scale)) &^ 0xffff
	kinds := []struct {
		from  io.Reader
		share int64
	}{
		{rand.NewChaCha8([32]byte{3}), 40},
		{files, 40},
		{zeros{}, 20},
	}
	type extent struct {
		from io.Reader
		n    int64
	}
	var plan []extent
	for _, k := range kinds {
		for left := total * k.share / 100; left > 0; {
			n := min(left, 64<<10*int64(1+r.IntN(128)))
			plan = append(plan, extent{k.from, n})
			left -= n
		}
	}
	r.Shuffle(len(plan), func(i, j int) { plan[i], plan[j] = plan[j], plan[i] })
	path := filepath.Join(c.Dir(), bigName)
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	for _, e := range plan {
		if _, err := io.CopyN(w, e.from, e.n); err != nil {
			_ = f.Close() // the first error tells
			return nil, err
		}
	}
	if err := w.Flush(); err != nil {
		_ = f.Close() // the first error tells
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	made = []string{"noise, bytes of " + usr + ", zeros"}
	return made, os.Chtimes(path, morning, morning)
}

// zeros is a reader of zeros without end.
type zeros struct{}

// Read implements io.Reader.
func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

const usr = "/usr"

// installed reads the regular files of /usr in sorted order, again and again without end. Where there are none it reads
// words.
type installed struct {
	next  func() (path string, ok bool)
	stop  func()
	some  bool // the present pass over /usr found a byte
	open  *os.File
	words []byte
}

// Read implements io.Reader.
func (u *installed) Read(p []byte) (int, error) {
	for u.words == nil {
		if u.open == nil && !u.step() {
			break
		}
		n, err := u.open.Read(p)
		if n > 0 {
			u.some = true
			return n, nil
		}
		if err != nil {
			_ = u.open.Close() // only read
			u.open = nil
		}
	}
	if u.words == nil {
		r := seeded(4)
		u.words = newWords(r, 6000).append(nil, r, 1<<20, true)
	}
	return copy(p, u.words), nil
}

// step opens the next file and reports whether there is one in this pass or the next.
func (u *installed) step() bool {
	for {
		if u.next == nil {
			u.next, u.stop = iter.Pull(listUsr)
			u.some = false
		}
		path, ok := u.next()
		if !ok {
			u.next = nil
			if !u.some {
				return false
			}
			continue
		}
		if f, err := os.Open(path); err == nil {
			u.open = f
			return true
		}
	}
}

func (u *installed) close() {
	if u.stop != nil {
		u.stop()
	}
	if u.open != nil {
		_ = u.open.Close() // only read
	}
}

func listUsr(yield func(path string) bool) {
	for _, base := range []string{"bin", "lib", "local", "share"} {
		more := true
		_ = filepath.WalkDir(filepath.Join(usr, base), func(path string, d fs.DirEntry, err error) error { // what is not readable is not there
			if err == nil && d.Type().IsRegular() && !yield(path) {
				more = false
				return fs.SkipAll
			}
			return nil
		})
		if !more {
			return
		}
	}
}
