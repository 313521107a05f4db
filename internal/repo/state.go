package repo

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/nacre-backup/nacre/internal/clock"
	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/osfile"
)

// state is this machine's memory of a repository: small files in a folder that only its owner can read. All of them
// are hints but the writer's key, and a lost key means a new writer. Without a folder the memory ends with the
// process.
type state struct {
	dir string

	mu     sync.Mutex
	memory map[string][]byte // used where dir is empty
}

// maxState is how long a state file may be.
const maxState = 1 << 20

func newState(dir string) *state { return &state{dir: dir, memory: map[string][]byte{}} }

// LoadState reads a file of this machine's memory; nil if there is none.
func (r *Repo) LoadState(name string) ([]byte, error) { return r.state.load(name) }

// SaveState writes a file of this machine's memory, whole or not at all.
func (r *Repo) SaveState(name string, data []byte) error { return r.state.save(name, data) }

func (s *state) load(name string) ([]byte, error) {
	if s.dir == "" {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.memory[name], nil
	}
	path := filepath.Join(s.dir, name)
	var f *os.File
	err := osfile.Patiently(func() (err error) {
		f, err = os.Open(path)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the state file %s: %w", path, err)
	}
	defer f.Close() //nolint:errcheck // nothing was written
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read the state file %s: %w", path, err)
	}
	if info.Size() > maxState {
		return nil, errs.New(errs.Corrupt, "state file %s has %d bytes", path, info.Size())
	}
	b, err := io.ReadAll(io.LimitReader(f, maxState))
	if err != nil {
		return nil, fmt.Errorf("read the state file %s: %w", path, err)
	}
	return b, nil
}

func (s *state) save(name string, data []byte) error { return s.write(name, data, rename) }

// rename replaces a file that another process may be reading at the moment.
func rename(from, to string) error {
	return osfile.Patiently(func() error { return os.Rename(from, to) })
}

// create writes a file unless it is there: exists says that it was.
func (s *state) create(name string, data []byte) (exists bool, err error) {
	if s.dir == "" {
		s.mu.Lock()
		_, exists = s.memory[name]
		s.mu.Unlock()
		if exists {
			return true, nil
		}
		return false, s.save(name, data)
	}
	err = s.write(name, data, func(from, to string) error {
		err := os.Link(from, to)
		if err == nil || errors.Is(err, fs.ErrExist) {
			// The other name goes away whatever came of it.
			return errors.Join(err, osfile.Patiently(func() error { return os.Remove(from) }))
		}
		// A file system without hard links: the check and the rename are two steps, and what two processes lose by
		// that is one enrolment.
		if _, err := os.Lstat(to); err == nil {
			return errors.Join(fs.ErrExist, os.Remove(from))
		}
		return rename(from, to)
	})
	if errors.Is(err, fs.ErrExist) {
		return true, nil
	}
	return false, err
}

// write puts data into a new file and gives it its name by place.
func (s *state) write(name string, data []byte, place func(from, to string) error) error {
	if s.dir == "" {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.memory[name] = append([]byte{}, data...)
		return nil
	}
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make the state folder: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "new-*") // made with mode 0600
	if err != nil {
		return fmt.Errorf("write the state file %s: %w", path, err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write the state file %s: %w", path, err), os.Remove(f.Name()))
	}
	if err := place(f.Name(), path); err != nil {
		return fmt.Errorf("write the state file %s: %w", path, err)
	}
	return nil
}

// writerFile holds the seed of this machine's writer in hexadecimal digits.
const writerFile = "writer.key"

// writerSeed reads the seed; ok is false where there is none.
func (s *state) writerSeed() (k crypt.Key, ok bool, err error) {
	b, err := s.load(writerFile)
	if err != nil || b == nil {
		return k, false, err
	}
	text := strings.TrimSpace(string(b))
	if raw, err := hex.DecodeString(text); err == nil && len(raw) == len(k) {
		copy(k[:], raw)
		return k, true, nil
	}
	return k, false, errs.WithHint(errs.New(errs.Corrupt, "the writer's key in %s is damaged", filepath.Join(s.dir, writerFile)),
		"remove the file: a new key is made and enrolled; earlier snapshots stay valid")
}

// newWriterSeed makes the seed, or reads that of another process that was faster.
func (s *state) newWriterSeed(rnd clock.Rand) (crypt.Key, error) {
	k, err := crypt.NewKey(rnd)
	if err != nil {
		return k, err
	}
	exists, err := s.create(writerFile, []byte(hex.EncodeToString(k[:])+"\n"))
	if err != nil || !exists {
		return k, err
	}
	k, ok, err := s.writerSeed()
	if err == nil && !ok {
		err = fmt.Errorf("the writer's key in %s was taken away as it was made", s.dir)
	}
	return k, err
}
