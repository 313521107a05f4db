package files

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/source"
	"github.com/nacre-backup/nacre/internal/tree"
)

// Source reads files and directories. It implements source.Source.
type Source struct {
	opts     Options
	roots    *rootNode
	paths    []string // the roots' absolute paths
	filter   *filter
	walkers  int
	maxNames int // see gatherer; smaller in tests
	dirs     *dirCache
	systems  systemTable
	owners   owners
	skip     []fileID
	rootDevs []uint64
	euid     uint32
	stashed  atomic.Int32 // descriptors that wait from Describe to Open
	started  atomic.Bool
	kept     sync.Pool // of *kept

	dirMu   sync.Mutex
	lastDir []byte // the last Dir that Retain copied, shared by the items of one directory
}

// fileID tells files apart while the system runs.
type fileID struct{ dev, ino uint64 }

var _ source.Source = (*Source)(nil)

// New makes a source. No root at all being there is an error of kind errs.NotFound; a single root that is missing
// becomes an entry with an error.
func New(o Options) (*Source, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	paths, err := o.rootPaths()
	if err != nil {
		return nil, err
	}
	s := &Source{opts: o, paths: paths, roots: newRoots(paths), walkers: o.Walkers, dirs: newDirCache(), euid: effectiveUser(), maxNames: maxNames}
	if s.filter, err = o.Filter.compile(); err != nil {
		return nil, err
	}
	if s.walkers == 0 {
		s.walkers = min(max(runtime.GOMAXPROCS(0)-1, 1), 8)
	}
	if err := s.findRoots(); err != nil {
		return nil, err
	}
	for _, p := range o.AlwaysSkip {
		abs, err := o.absolute(p)
		if err != nil {
			return nil, err
		}
		if id, err := statPath(abs); err == nil {
			s.skip = append(s.skip, id)
		} else {
			s.filter.byPath = append(s.filter.byPath, []byte(strings.Join(splitPath(abs), "/")))
		}
	}
	return s, nil
}

func (s *Source) findRoots() error {
	var first error
	found := false
	for _, p := range s.paths {
		if _, err := os.Lstat(p); err != nil {
			if first == nil {
				first = err
			}
			found = found || !errors.Is(err, fs.ErrNotExist)
			continue
		}
		found = true
		if id, err := statPath(p); err == nil && !slices.Contains(s.rootDevs, id.dev) {
			s.rootDevs = append(s.rootDevs, id.dev)
		}
	}
	if !found {
		return errs.WithHint(errs.As(errs.NotFound, fmt.Errorf("nothing to read: %w", first)), "check the paths: relative ones begin at the working directory")
	}
	return nil
}

// Roots returns the absolute paths of the roots, nested ones included.
func (s *Source) Roots() []string { return slices.Clone(s.paths) }

// Entries implements source.Source.
func (s *Source) Entries(ctx context.Context) iter.Seq2[*source.Item, error] {
	return func(yield func(*source.Item, error) bool) {
		if s.started.Swap(true) {
			yield(nil, errors.New("entries of a source of files were asked for twice"))
			return
		}
		newWalk(s).run(ctx, yield)
	}
}

func (s *Source) skips(dev, ino uint64) bool {
	for _, id := range s.skip {
		if id.ino == ino && id.dev == dev {
			return true
		}
	}
	return false
}

func (s *Source) onRootDevice(dev uint64) bool { return slices.Contains(s.rootDevs, dev) }

// Close implements source.Source.
func (s *Source) Close() error { return s.dirs.close() }

// ErrClass implements source.Source.
func (s *Source) ErrClass(err error) tree.ErrClass { return ErrClass(err) }

// classError gives an error a class.
type classError struct {
	class tree.ErrClass
	err   error
}

func (e *classError) Error() string { return e.err.Error() }
func (e *classError) Unwrap() error { return e.err }

// ErrClass sorts an error of the file system.
func ErrClass(err error) tree.ErrClass {
	if err == nil {
		return tree.ErrNone
	}
	var c *classError
	if errors.As(err, &c) {
		return c.class
	}
	if class := sysErrClass(err); class != tree.ErrNone {
		return class
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return tree.ErrVanished
	case errors.Is(err, fs.ErrPermission):
		return tree.ErrAccess
	}
	return tree.ErrOther
}
