// Package corpus is about the data that benchmarks back up: four kinds of it, made from a seed, each with a second day
// that can be taken back.
//
//	SRC   source trees and what an installed system has: linux-source-6.1 where Debian's package is installed,
//	      /usr/share, Go's tree, some modules of Go's module cache. Without the package, generated text of the same shape.
//	MID   a small SRC: Go's tree and one module.
//	TINY  1,000,000 files of 0 to 2047 bytes of words in 10,000 directories.
//	BIG   one file of 8 GiB like the image of a disk: 40 % noise, 40 % bytes of /usr, 20 % zeros, in shuffled extents.
//
// The same name, scale and machine give the same bytes. Beside the corpus NAME stands NAME.json, which says what it was
// made of, and NAME.undo while it stands on day 2.
package corpus

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

// Names lists the corpora.
var Names = []string{"SRC", "MID", "TINY", "BIG"}

// morning is the time of every file that is made rather than copied.
var morning = time.Date(2026, 1, 1, 6, 0, 0, 0, time.UTC)

// Corpus is one of Names below a folder.
type Corpus struct {
	Root  string // the folder
	Name  string
	Scale float64 // 0 is 1; it shrinks what is generated, not what is copied
}

// Info says what a corpus is.
type Info struct {
	Name  string
	Scale float64
	Made  []string // what it was made of
	Files int64
	Dirs  int64
	Bytes int64 // of the files' contents
}

// Dir is where the corpus stands.
func (c Corpus) Dir() string { return filepath.Join(c.Root, c.Name) }

// Exists reports whether the corpus is there.
func (c Corpus) Exists() bool {
	st, err := os.Stat(c.Dir())
	return err == nil && st.IsDir()
}

// Make makes day 1. What stands there is never touched; what an interrupted run left beside it is made anew.
func (c Corpus) Make() error {
	if _, err := os.Lstat(c.Dir()); err == nil {
		return fmt.Errorf("corpus %s: %w", c.Dir(), fs.ErrExist)
	}
	if c.Scale == 0 {
		c.Scale = 1
	}
	making := c
	making.Root = filepath.Join(c.Root, c.Name+".making")
	if err := errors.Join(os.RemoveAll(making.Root), os.MkdirAll(making.Dir(), 0o755)); err != nil {
		return err
	}
	made, err := making.fill()
	if err != nil {
		return fmt.Errorf("make %s: %w", c.Dir(), err)
	}
	if err := errors.Join(os.Rename(making.Dir(), c.Dir()), os.Remove(making.Root)); err != nil {
		return err
	}
	info, err := c.Count()
	if err != nil {
		return err
	}
	info.Made = made
	text, err := json.MarshalIndent(info, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(c.Dir()+".json", append(text, '\n'), 0o644)
}

func (c Corpus) fill() ([]string, error) {
	switch c.Name {
	case "SRC":
		return c.makeSRC()
	case "MID":
		return c.makeMID()
	case "TINY":
		return c.makeTINY()
	case "BIG":
		return c.makeBIG()
	}
	return nil, fmt.Errorf("no corpus has the name %q; there are %v", c.Name, Names)
}

// Info reads what Make noted.
func (c Corpus) Info() (Info, error) {
	var i Info
	text, err := os.ReadFile(c.Dir() + ".json")
	if err == nil {
		err = json.Unmarshal(text, &i)
	}
	return i, err
}

// Count counts what is there now.
func (c Corpus) Count() (Info, error) {
	i := Info{Name: c.Name, Scale: c.Scale}
	err := filepath.WalkDir(c.Dir(), func(_ string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			i.Dirs++
			return nil
		}
		i.Files++
		if d.Type().IsRegular() {
			st, err := d.Info()
			if err != nil {
				return err
			}
			i.Bytes += st.Size()
		}
		return nil
	})
	return i, err
}

// seeded is the random source of a part of a corpus.
func seeded(part uint64) *rand.Rand { return rand.New(rand.NewPCG(part, 0x6e61637265)) }

// write makes a file with the time of morning.
func write(path string, content []byte) error {
	if err := os.WriteFile(path, content, 0o644); err != nil {
		return err
	}
	return os.Chtimes(path, morning, morning)
}
