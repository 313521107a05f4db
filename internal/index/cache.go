package index

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
)

const (
	runSuffix  = ".run"
	tempPrefix = "tmp-"
	// tempAge is how much older than a new file a temp file is before it counts as left behind by a crash.
	tempAge = 24 * time.Hour
)

// cache is the folder of runs on this machine. Where it cannot be used, runs live in memory: the cache is a hint, and a
// full disk under it is no reason to fail.
type cache struct {
	dir    string // "" where there is none
	repo   id.Repository
	report func(error)
}

// load opens the runs that are there. Damaged ones are reported and deleted.
func (c *cache) load() []*run {
	if c.dir == "" {
		return nil
	}
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			c.report(fmt.Errorf("index cache: %w", err))
		}
		return nil
	}
	var runs []*run
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), runSuffix) || !e.Type().IsRegular() { // to open a pipe would wait for ever
			continue
		}
		path := filepath.Join(c.dir, e.Name())
		switch r, err := c.open(path); {
		case err == nil:
			runs = append(runs, r)
		case errors.Is(err, fs.ErrNotExist): // another process merged it away
		default:
			c.report(err)
			c.remove(path)
		}
	}
	return runs
}

// open maps the run at path and checks it.
func (c *cache) open(path string) (*run, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("index cache: %w", err)
	}
	defer func() { _ = f.Close() }() // nothing was written
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("index cache: %w", err)
	}
	if st.Size() < blockSize || int64(int(st.Size())) != st.Size() {
		return nil, errs.New(errs.Corrupt, "index cache: %s has %d bytes", path, st.Size())
	}
	data, unmap, err := mapFile(f, st.Size())
	if err != nil {
		return nil, fmt.Errorf("index cache: %w", err)
	}
	r, err := newRun(data, c.repo)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), unmap())
	}
	r.path, r.unmap = path, unmap
	return r, nil
}

// write makes a run of what fill writes. There is no sync: a run that a power cut leaves half-written does not pass its
// checksums and is made anew.
func (c *cache) write(fill func(runFile) error) (*run, error) {
	if c.dir != "" {
		r, err := c.writeFile(fill)
		if err == nil {
			return r, nil
		}
		if errors.Is(err, errs.Corrupt) {
			return nil, err // what was to be written is damaged, not the place
		}
		c.report(fmt.Errorf("index cache: keep a run in memory: %w", err))
	}
	var m memFile
	if err := fill(&m); err != nil {
		return nil, err
	}
	return newRun(m.b, c.repo)
}

func (c *cache) writeFile(fill func(runFile) error) (r *run, err error) {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(c.dir, tempPrefix)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.remove(f.Name())
		}
	}()
	if err := errors.Join(fill(f), f.Close()); err != nil {
		return nil, err
	}
	c.sweep(f.Name())
	r, err = c.open(f.Name())
	if err != nil {
		return nil, err
	}
	path := filepath.Join(c.dir, hex.EncodeToString(r.number[:])+runSuffix)
	if err := os.Rename(f.Name(), path); err != nil {
		return nil, errors.Join(err, r.close())
	}
	r.path = path
	return r, nil
}

// sweep deletes temp files that a crash left behind: those much older than the new one. Both times are the file
// system's own.
func (c *cache) sweep(newest string) {
	now, err := os.Stat(newest)
	if err != nil {
		return
	}
	old, err := filepath.Glob(filepath.Join(c.dir, tempPrefix+"*"))
	if err != nil {
		return
	}
	for _, path := range old {
		if st, err := os.Stat(path); err == nil && now.ModTime().Sub(st.ModTime()) > tempAge {
			c.remove(path)
		}
	}
}

// remove deletes a file of the cache. Where that fails the file stays and does no harm.
func (c *cache) remove(path string) {
	if path != "" {
		_ = os.Remove(path)
	}
}
