package local

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/osfile"
)

// makeFolder makes the folder of a store and those above it that are missing, and makes the name of each durable: the
// objects' own syncs are worth nothing if a power cut takes a folder above them. The name of a folder that is there
// already is synced too, where that is allowed: a run that was cut off may have made it a moment ago.
func makeFolder(dir string, sys *system) error {
	var lacking []string // the lowest first
	for at := dir; ; at = filepath.Dir(at) {
		st, err := os.Stat(at)
		if err == nil && !st.IsDir() {
			return errs.WithHint(errs.New(errs.Exists, "%s is not a folder", at), "give the folder of the repository")
		}
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) || at == filepath.Dir(at) {
			return err
		}
		lacking = append(lacking, at)
	}
	if len(lacking) == 0 {
		err := syncName(dir, sys)
		if errors.Is(osfile.Classify(err), errs.Denied) {
			return nil
		}
		return err
	}
	for _, at := range slices.Backward(lacking) {
		err := os.Mkdir(at, 0o700)
		if st, serr := os.Stat(at); errors.Is(err, fs.ErrExist) && serr == nil && st.IsDir() {
			err = nil // somebody else made it meanwhile
		}
		if err == nil {
			err = syncName(at, sys)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// syncName makes the name of a folder durable by a sync of the one above it; where that cannot be read or synced, of
// the whole file system.
func syncName(dir string, sys *system) error {
	f, err := os.Open(filepath.Dir(dir))
	if err == nil {
		err = sys.syncDir(f)
		f.Close() //nolint:errcheck,gosec // opened for reading
		// SMB shares answer ENOENT where they mean that they cannot.
		if err == nil || !osfile.Unsupported(err) && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	} else if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	if f, err = os.Open(dir); err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	if err := sys.syncAll(f); err != nil && !osfile.Unsupported(err) {
		return err
	}
	return nil
}
