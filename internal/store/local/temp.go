package local

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/nacre-backup/nacre/internal/osfile"
	"github.com/nacre-backup/nacre/internal/process"
)

// tempDir holds the temporary files. The plus sign keeps it apart from objects and their folders.
const tempDir = "+tmp"

// counter makes the names of this process's temporary files differ, whatever store they are in.
var counter atomic.Uint64

// tempName names a temporary file after the process that writes it, so that another one can tell whether it is left
// over: machine, boot, namespace, pid, start and a number.
func tempName(p process.ID, n uint64) string {
	part := func(s string) string {
		s = strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
				return r
			}
			return -1
		}, strings.ToLower(s))
		if s == "" {
			return "0"
		}
		return s
	}
	return fmt.Sprintf("%s.%s.%s.%d.%d.%d", part(p.Machine), part(p.Boot), part(p.Namespace), p.PID, p.Start, n)
}

// leftover tells whether a temporary file's process has certainly ended: in this boot of this machine, or, if no other
// machine writes to the disk, in an earlier one. On a share a clone of this machine would look like that.
func leftover(name string, me process.ID, ownDisk bool) bool {
	f := strings.Split(name, ".")
	if len(f) != 6 {
		return false
	}
	mine := strings.Split(tempName(me, 0), ".")
	pid, err := strconv.ParseUint(f[3], 10, 64)
	start, serr := strconv.ParseUint(f[4], 10, 64)
	if err != nil || serr != nil || f[0] != mine[0] || f[0] == "0" || f[1] == "0" || pid == 0 || start == 0 {
		return false
	}
	if f[1] != mine[1] {
		return ownDisk
	}
	if f[2] != mine[2] {
		return false
	}
	p := me
	p.PID, p.Start = pid, start
	return !process.Alive(p)
}

// newTemp creates a temporary file. It gets the mode of an object at once: no later chmod is needed, and the open
// file can be written all the same.
func (s *Store) newTemp() (f *os.File, name string, err error) {
	if err := s.prepare(); err != nil {
		return nil, "", err
	}
	for try := 0; ; try++ {
		name = tempDir + "/" + tempName(process.Self(), counter.Add(1))
		f, err = s.root.openFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o400)
		switch {
		case errors.Is(err, fs.ErrExist) && try < 1000: // of a process with the same name, where those are not unique
		case errors.Is(err, fs.ErrNotExist) && try < 3: // somebody cleaned up by hand
			if err := s.root.mkdir(tempDir); err != nil && !errors.Is(err, fs.ErrExist) {
				return nil, "", err
			}
		default:
			return f, name, err
		}
	}
}

// prepare makes the folder of temporary files, cleans it and finds out what the file system can, once.
func (s *Store) prepare() error {
	s.setup.Lock()
	defer s.setup.Unlock()
	if s.prepared {
		return nil
	}
	if err := s.root.mkdir(tempDir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	tmp, err := s.root.open(tempDir)
	if err != nil {
		return err
	}
	if err = s.clean(tmp); err == nil {
		err = s.probe(tmp)
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	s.prepared = true
	return nil
}

// clean removes the temporary files that are certainly left over. Any other is left alone, whoever it belongs to. (A
// process whose file were taken away would fail and lose nothing; still, nobody's live file is touched.)
func (s *Store) clean(tmp *os.File) error {
	own, me := osfile.LocalDisk(tmp), process.Self()
	for {
		entries, err := tmp.ReadDir(256)
		for _, e := range entries {
			if !leftover(e.Name(), me, own) {
				continue
			}
			if err := s.root.remove(tempDir + "/" + e.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// probe finds out by trying whether a name can be taken atomically: the way must work, and must refuse a taken name.
func (s *Store) probe(tmp *os.File) error {
	base := tempName(process.Self(), counter.Add(1))
	var made []string
	defer func() {
		for _, name := range made {
			_ = s.root.remove(tempDir + "/" + name) // what stays is empty and is cleaned up by a later run
		}
	}()
	create := func(name string) error {
		made = append(made, name)
		f, err := s.root.openFile(tempDir+"/"+name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o400)
		if err != nil {
			return err
		}
		return f.Close()
	}
	a, b, c := base+"a", base+"b", base+"c"
	if err := errors.Join(create(a), create(b)); err != nil {
		return err
	}
	made = append(made, c)
	linked, err := s.try(func(old, name string) error {
		return s.sys.link(s.root, tempDir+"/"+old, tempDir+"/"+name)
	}, a, b, c)
	if err != nil {
		return err
	}
	s.can.noLink.Store(!linked)
	if linked {
		if err := s.root.remove(tempDir + "/" + c); err != nil {
			return err
		}
	}
	renamed, err := s.try(func(old, name string) error { return s.sys.noReplace(tmp, old, tmp, name) }, a, b, c)
	if err != nil {
		return err
	}
	s.can.noNoReplace.Store(!renamed)
	return nil
}

// try tells whether a way to take a name refuses the taken name and takes the free one.
func (s *Store) try(take func(old, name string) error, from, taken, free string) (bool, error) {
	err := take(from, taken)
	if !errors.Is(err, fs.ErrExist) {
		if err == nil || osfile.Unsupported(err) {
			return false, nil
		}
		return false, err
	}
	if err := take(from, free); err != nil {
		if osfile.Unsupported(err) {
			return false, nil
		}
		return false, err
	}
	return true, nil
}
