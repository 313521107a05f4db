package local

import (
	"os"
	"sync/atomic"

	"github.com/nacre-backup/nacre/internal/osfile"
)

// system holds the calls that a file system may refuse. Tests put refusals in their place.
type system struct {
	link      func(root folder, old, name string) error
	noReplace func(from *os.File, old string, to *os.File, name string) error
	rename    func(root folder, old, name string) error
	syncData  func(f *os.File) error
	syncDir   func(f *os.File) error
	syncAll   func(f *os.File) error
	setDirect func(f *os.File, on bool) error
	write     func(f *os.File, p []byte) (int, error)
}

var kernel = system{
	link:      folder.link,
	noReplace: osfile.RenameNoReplace,
	rename:    folder.rename,
	syncData:  osfile.SyncData,
	syncDir:   osfile.SyncDir,
	syncAll:   osfile.SyncAll,
	setDirect: osfile.SetDirect,
	write:     (*os.File).Write,
}

// abilities are what the file system was found to lack. They only ever grow.
type abilities struct {
	noLink      atomic.Bool
	noNoReplace atomic.Bool
	noDirect    atomic.Bool
	noDataSync  atomic.Bool
	noDirSync   atomic.Bool
}

// atomic tells whether a name can be taken so that exactly one of several racing creators wins.
func (a *abilities) atomic() bool { return !a.noLink.Load() || !a.noNoReplace.Load() }
