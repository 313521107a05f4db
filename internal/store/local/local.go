// Package local is about a store in a folder: on a disk, a USB stick, or a mounted share.
//
// An object is the file of its name. It is written to a temporary file in the folder "+tmp" (no object's name holds a
// plus sign), its bytes are made durable, and then it gets its name by the first of these that the file system knows: a
// hard link, a rename that does not replace, or a look followed by a rename. So an object is complete or absent at
// every moment, power cuts included. The names themselves become durable at Flush, which syncs each directory that got
// one. The first two ways are atomic: where one of them works, found out by trying, the store offers PutIfAbsent.
//
// What a file system lacks (hard links, rename without replacing, direct I/O, sync of directories, modes) is found out
// by its refusal, once, and done without. The store holds the folder open and does everything relative to it; where
// something seems to be absent it looks whether the folder still stands at its path, so that a vanished mount is
// an error and never an empty repository.
//
// A store that is only read from writes nothing at all: the folder is prepared by the first call that writes.
package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/osfile"
	"github.com/nacre-backup/nacre/internal/store"
)

// Options of Open. The zero value is right for an existing repository.
type Options struct {
	// Create makes the folder, and those above it, if there is none.
	Create bool
	// Direct says when packs are written past the page cache. The default is DirectAuto.
	Direct Direct
}

// Direct says when packs are written past the page cache.
type Direct uint8

// The ways to write packs.
const (
	DirectAuto  Direct = iota // on local disks that take it
	DirectNever               // through the page cache
	DirectTry                 // wherever the file system takes it
)

// Store is a folder of objects.
type Store struct {
	dir string // absolute
	handles
	direct   Direct
	sys      system
	busy     sync.WaitGroup // calls into the kernel that outlive the method that made them
	patience time.Duration  // of Close

	setup    sync.Mutex
	prepared bool // the folder of temporary files is there, and can is known
	can      abilities

	naming sync.Mutex // held for a look and a rename, where there is no atomic way
	flush  sync.Mutex // one Flush at a time
	mu     sync.Mutex
	dirty  map[string]bool // folders whose names are not durable yet; as many as a run writes to
	lost   error           // a failed sync: what it should have saved may be gone, and no later sync can tell
}

// handles are what a store holds open.
type handles struct {
	root  folder
	id    os.FileInfo // of the folder when it was opened
	top   *os.File    // the folder itself, for the calls that os.Root lacks
	local bool        // a disk of this machine: its calls do not hang
}

func (h handles) close() error { return errors.Join(h.top.Close(), h.root.close()) }

// Open opens the folder.
func Open(ctx context.Context, dir string, o Options) (*Store, error) {
	return openBy(ctx, dir, o, kernel)
}

func openBy(ctx context.Context, dir string, o Options, sys system) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open folder: %w", err)
	}
	s := &Store{dir: dir, direct: o.Direct, sys: sys, patience: patience, dirty: map[string]bool{}}
	s.handles, err = ask(ctx, s, func() (handles, error) {
		if o.Create {
			if err := makeFolder(dir, &sys); err != nil {
				return handles{}, hint(fmt.Errorf("make folder: %w", osfile.Classify(err)), dir)
			}
		}
		return openHandles(dir)
	}, func(h handles) { _ = h.close() }) // opened for reading, and nobody waits for it
	if err != nil {
		return nil, err
	}
	return s, nil
}

func openHandles(dir string) (h handles, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return h, openError(dir, err)
	}
	h.root = folder{root}
	if h.id, err = root.Stat("."); err == nil {
		h.top, err = root.Open(".")
	}
	if err != nil {
		root.Close() //nolint:errcheck // opened for reading, and there is a first error
		return h, openError(dir, err)
	}
	h.local = osfile.LocalDisk(h.top)
	return h, nil
}

func openError(dir string, err error) error {
	if st, serr := os.Stat(dir); serr == nil && !st.IsDir() {
		return errs.WithHint(errs.New(errs.NoRepository, "open %s: not a folder", dir), "give the folder of the repository")
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = errs.As(errs.NoRepository, osfile.Classify(err))
		return errs.WithHint(fmt.Errorf("open folder: %w", err), "check the path, or make a repository there with: nacre init")
	}
	return hint(fmt.Errorf("open folder: %w", osfile.Classify(err)), dir)
}

// hint adds what the user can do about a failure in the folder.
func hint(err error, dir string) error {
	switch {
	case err == nil || errs.Hint(err) != "":
		return err
	case errors.Is(err, errs.Denied):
		return errs.WithHint(err, "this user lacks the right, or the disk is read-only; check with: ls -ld %s", dir)
	case errors.Is(err, errs.Full):
		return errs.WithHint(err, "make room on the disk of %s, or raise its quota; nothing that was backed up is lost", dir)
	case errors.Is(err, syscall.EFBIG):
		return errs.WithHint(err, "the file system of %s takes no file of this size; choose another for the repository", dir)
	case errors.Is(err, errs.Unreachable):
		return errs.WithHint(err, "check that the disk or share of %s is connected and mounted", dir)
	}
	return err
}

// fail wraps an error of the system at the door: what was tried on which object, the kind and a hint. An error of the
// caller's content keeps the kind that it has or has not.
func (s *Store) fail(what, name string, err error) error {
	var own *contentError
	if err == nil || errors.As(err, &own) {
		return err
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = s.absent(err) // a call that makes something misses nothing but the folder itself
	}
	return hint(fmt.Errorf("%s %s: %w", what, name, osfile.Classify(err)), s.dir)
}

// present returns an error unless the folder that was opened still stands at its path.
func (s *Store) present() error {
	now, err := os.Stat(s.dir)
	if err == nil && os.SameFile(now, s.id) {
		return nil
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return errs.New(errs.Unreachable, "the folder %s is gone, or another one has its place", s.dir)
	}
	return errs.As(errs.Unreachable, osfile.Classify(err))
}

// absent turns "no such file" into a certain answer: err as it is if the folder is still there.
func (s *Store) absent(err error) error {
	if perr := s.present(); perr != nil {
		return perr
	}
	return err
}

// As implements store.Aser. Every extra but PutIfAbsent is always offered; that one unless the file system refused both
// atomic ways. Where the folder cannot be prepared at all (no right, no room) PutIfAbsent is offered and says why.
func (s *Store) As(target any) bool {
	switch t := target.(type) {
	case *store.PutIfAbsenter:
		if s.prepare() == nil && !s.can.atomic() {
			return false
		}
		*t = s
	case *store.Streamer:
		*t = s
	case **Store:
		*t = s
	default:
		return false
	}
	return true
}

// Flush implements store.Store: it syncs the folders that got or lost names. The files were synced before they got
// theirs.
func (s *Store) Flush(ctx context.Context) error {
	return s.detach(ctx, func() error {
		s.flush.Lock()
		defer s.flush.Unlock()
		return s.flushDirs(ctx)
	})
}

// flushDirs syncs every folder that was touched before it began. What fails to be synced is lost for good: the kernel
// may have dropped it, and would call the next sync a success. A folder that could not be asked stays to be synced.
func (s *Store) flushDirs(ctx context.Context) error {
	s.mu.Lock()
	dirs, lost := s.dirty, s.lost
	s.dirty = map[string]bool{}
	s.mu.Unlock()
	if lost != nil {
		return lost
	}
	var err error
	for dir := range dirs {
		if err = ctx.Err(); err == nil {
			err = s.fail("sync folder", dir, s.syncDir(dir))
		}
		if err != nil {
			break
		}
		delete(dirs, dir)
	}
	if err == nil {
		err = s.fail("flush", s.dir, s.present())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for dir := range dirs {
		s.dirty[dir] = true
	}
	var failed *syncError
	if errors.As(err, &failed) {
		s.lost = err
	}
	return err
}

// syncError is a sync that the kernel took and could not do.
type syncError struct{ error }

func (e *syncError) Unwrap() error { return e.error }

// syncDir makes the names in one folder durable. A folder that is gone has none.
func (s *Store) syncDir(dir string) error {
	f, err := s.root.open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return s.present()
	}
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	if !s.can.noDirSync.Load() {
		err := s.sys.syncDir(f)
		if err == nil {
			return nil
		}
		if !osfile.Unsupported(err) && !errors.Is(err, fs.ErrNotExist) { // ENOENT: what SMB shares answer
			return &syncError{err}
		}
		s.can.noDirSync.Store(true)
	}
	return s.syncAll()
}

// syncAll is the fall-back for file systems that cannot sync a file or a folder by itself. Where even this is missing
// there is no way to promise anything, and the system's own writing out must do.
func (s *Store) syncAll() error {
	if err := s.sys.syncAll(s.top); err != nil && !osfile.Unsupported(err) {
		return &syncError{err}
	}
	return nil
}

// touched notes that the folder of an object got or lost a name. Those above it are noted too, whoever made them.
func (s *Store) touched(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for dir := path.Dir(name); ; dir = path.Dir(dir) {
		s.dirty[dir] = true
		if dir == "." {
			return
		}
	}
}

// patience is how long Close waits for calls that their callers have left. A disk that is slow is done by then; a share
// whose server is gone may never answer.
const patience = 5 * time.Second

// Close implements store.Store. It waits for the calls that were left when a context ended, at most for the store's
// patience: after that it is errs.Unreachable, and the folder is let go when the last of them comes back. What they
// leave in the folder of temporary files a later run cleans up.
func (s *Store) Close() error {
	closed := make(chan error, 1)
	go func() {
		s.busy.Wait()
		closed <- s.close()
	}()
	timer := time.NewTimer(s.patience)
	defer timer.Stop()
	select {
	case err := <-closed:
		return err
	case <-timer.C:
		return hint(errs.New(errs.Unreachable, "close %s: calls that were given up have not come back within %s", s.dir, s.patience), s.dir)
	}
}
