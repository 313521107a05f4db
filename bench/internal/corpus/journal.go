package corpus

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// What an op was.
const (
	stashed = "stash"   // Path was moved to Aside
	added   = "added"   // Path is new
	renamed = "renamed" // Aside was renamed to Path
	spotted = "spot"    // bytes of Path at At were other bytes; those are in Aside
	widened = "widened" // Path, of At bytes, got more at insertAt
	touched = "touched" // Path had the time Time
)

// op is a change that Undo can take back. It is written down before it is done.
type op struct {
	Kind  string
	Path  string
	Aside string
	At    int64
	Time  time.Time
}

// journal is the folder beside a corpus that has what day 1 was: originals moved aside, so that their inodes and times
// survive, and a list of changes.
type journal struct {
	dir  string
	n    int
	list *os.File
}

func newJournal(c Corpus) (*journal, error) {
	dir := c.Dir() + ".undo"
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, fmt.Errorf("corpus %s stands on day 2 already: %w", c.Dir(), err)
	}
	f, err := os.Create(filepath.Join(dir, "journal"))
	return &journal{dir: dir, list: f}, err
}

func (j *journal) close() error { return j.list.Close() }

func (j *journal) note(o op) error { return json.NewEncoder(j.list).Encode(o) }

func (j *journal) aside() string {
	j.n++
	return filepath.Join(j.dir, fmt.Sprint(j.n))
}

func (j *journal) stash(path string) (aside string, err error) {
	aside = j.aside()
	if err := j.note(op{Kind: stashed, Path: path, Aside: aside}); err != nil {
		return "", err
	}
	return aside, os.Rename(path, aside)
}

func (j *journal) rename(from, to string) error {
	if err := j.note(op{Kind: renamed, Path: to, Aside: from}); err != nil {
		return err
	}
	return os.Rename(from, to)
}

// spot keeps the bytes of f at an offset.
func (j *journal) spot(f *os.File, path string, at int64, buf []byte) error {
	if _, err := f.ReadAt(buf, at); err != nil {
		return err
	}
	aside := j.aside()
	if err := os.WriteFile(aside, buf, 0o644); err != nil {
		return err
	}
	return j.note(op{Kind: spotted, Path: path, Aside: aside, At: at})
}

// Undo turns day 2 into day 1, with the same bytes, inodes and times. Without a day 2 it does nothing; a Mutate that was
// interrupted is taken back as far as it came.
func (c Corpus) Undo() error {
	dir := c.Dir() + ".undo"
	f, err := os.Open(filepath.Join(dir, "journal"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var ops []op
	for dec := json.NewDecoder(f); ; {
		var o op
		if err := dec.Decode(&o); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return errors.Join(fmt.Errorf("%s: %w", f.Name(), err), f.Close())
		}
		ops = append(ops, o)
	}
	if err := f.Close(); err != nil {
		return err
	}
	for _, o := range slices.Backward(ops) {
		if err := o.undo(); err != nil {
			return fmt.Errorf("undo %s: %w", c.Dir(), err)
		}
	}
	return os.RemoveAll(dir)
}

// undo takes the change back; one that was noted and not done is none.
func (o op) undo() error {
	switch o.Kind {
	case stashed, renamed:
		from, to := o.Aside, o.Path
		if o.Kind == renamed {
			from, to = o.Path, o.Aside
		}
		if _, err := os.Lstat(from); errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return os.Rename(from, to)
	case added:
		if err := os.Remove(o.Path); !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	case touched:
		return os.Chtimes(o.Path, o.Time, o.Time)
	}
	return o.undoBytes()
}

func (o op) undoBytes() (err error) {
	f, err := os.OpenFile(o.Path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if o.Kind == widened {
		if st, err := f.Stat(); err != nil || st.Size() == o.At {
			return err
		}
		return narrow(f, insertAt, inserted)
	}
	b, err := os.ReadFile(o.Aside)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, o.At)
	return err
}
