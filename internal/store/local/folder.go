package local

import (
	"io/fs"
	"os"

	"github.com/nacre-backup/nacre/internal/osfile"
)

// folder is an os.Root whose calls are made again when a signal interrupts them. A link or rename that was done
// before the interruption then finds its own name taken, which its caller looks into anyway.
type folder struct{ root *os.Root }

func (f folder) lstat(name string) (st fs.FileInfo, err error) {
	err = osfile.Again(func() error { st, err = f.root.Lstat(name); return err })
	return st, err
}

func (f folder) open(name string) (*os.File, error) { return f.openFile(name, os.O_RDONLY, 0) }

func (f folder) openFile(name string, flag int, mode fs.FileMode) (file *os.File, err error) {
	err = osfile.Again(func() error { file, err = f.root.OpenFile(name, flag, mode); return err })
	return file, err
}

func (f folder) mkdir(name string) error {
	return osfile.Again(func() error { return f.root.Mkdir(name, 0o700) })
}

func (f folder) remove(name string) error {
	return osfile.Again(func() error { return f.root.Remove(name) })
}

func (f folder) link(old, name string) error {
	return osfile.Again(func() error { return f.root.Link(old, name) })
}

func (f folder) rename(old, name string) error {
	return osfile.Again(func() error { return f.root.Rename(old, name) })
}

func (f folder) close() error { return f.root.Close() }
