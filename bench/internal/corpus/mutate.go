package corpus

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
)

// Mutate turns day 1 into day 2:
//
//	SRC, MID  1 % of the files edited, 0.5 % deleted, 0.5 % added, a big directory renamed
//	TINY      100 files of p0 edited
//	BIG       200 stretches of 64 KiB overwritten, 1 MiB inserted at 1 MiB
func (c Corpus) Mutate() (err error) {
	j, err := newJournal(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.close()) }()
	r := seeded(5)
	switch c.Name {
	case "TINY":
		files, err := regular(filepath.Join(c.Dir(), "p0"))
		if err != nil {
			return err
		}
		r.Shuffle(len(files), func(i, k int) { files[i], files[k] = files[k], files[i] })
		return each(files[:min(100, len(files))], func(path string) error { return j.edit(r, path) })
	case "BIG":
		return j.image(r, filepath.Join(c.Dir(), bigName))
	}
	files, err := regular(c.Dir())
	if err != nil {
		return err
	}
	r.Shuffle(len(files), func(i, k int) { files[i], files[k] = files[k], files[i] })
	edit, half := len(files)/100, len(files)/200
	if err := each(files[:edit], func(path string) error { return j.edit(r, path) }); err != nil {
		return err
	}
	if err := each(files[edit:][:half], func(path string) error { _, err := j.stash(path); return err }); err != nil {
		return err
	}
	for i, path := range files[edit+half:][:half] {
		if err := j.add(r, path, filepath.Join(filepath.Dir(path), fmt.Sprintf("added-%d.txt", i))); err != nil {
			return err
		}
	}
	for _, dir := range []string{"linux-source-6.1/drivers/net", "go/src", "tree/area00"} {
		path := filepath.Join(c.Dir(), dir)
		if st, err := os.Stat(path); err == nil && st.IsDir() {
			return j.rename(path, path+"-renamed")
		}
	}
	return nil
}

func each(paths []string, fn func(path string) error) error {
	for _, p := range paths {
		if err := fn(p); err != nil {
			return err
		}
	}
	return nil
}

// regular lists the regular files below dir in sorted order.
func regular(dir string) (files []string, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files = append(files, path)
		}
		return err
	})
	return files, err
}

// edit writes the file anew with a line put in somewhere, as an editor does.
func (j *journal) edit(r *rand.Rand, path string) error {
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if _, err := j.stash(path); err != nil {
		return err
	}
	line := fmt.Appendf(nil, "/* edited %x */\n", r.Uint64())
	return os.WriteFile(path, slices.Insert(b, r.IntN(len(b)+1), line...), st.Mode().Perm())
}

// add makes a new file of the lines of another in another order.
func (j *journal) add(r *rand.Rand, from, path string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	lines := bytes.SplitAfter(b[:min(len(b), 1<<20)], []byte("\n"))
	r.Shuffle(len(lines), func(i, k int) { lines[i], lines[k] = lines[k], lines[i] })
	if err := j.note(op{Kind: added, Path: path}); err != nil {
		return err
	}
	return os.WriteFile(path, bytes.Join(lines, nil), 0o644)
}

const (
	spots    = 200
	spotSize = 64 << 10
	insertAt = 1 << 20
	inserted = 1 << 20
)

// image changes the image of a disk in place.
func (j *journal) image(r *rand.Rand, path string) (err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if err := j.note(op{Kind: touched, Path: path, Time: st.ModTime()}); err != nil {
		return err
	}
	noise := rand.NewChaCha8([32]byte{5})
	buf := make([]byte, inserted)
	for range spots {
		at := (insertAt + inserted + r.Int64N(st.Size()-insertAt-inserted-spotSize)) &^ 511
		if err := j.spot(f, path, at, buf[:spotSize]); err != nil {
			return err
		}
		_, _ = noise.Read(buf[:spotSize]) // never fails
		if _, err := f.WriteAt(buf[:spotSize], at); err != nil {
			return err
		}
	}
	if err := j.note(op{Kind: widened, Path: path, At: st.Size()}); err != nil {
		return err
	}
	if err := widen(f, insertAt, inserted); err != nil {
		return err
	}
	_, _ = noise.Read(buf) // never fails
	_, err = f.WriteAt(buf, insertAt)
	return err
}
