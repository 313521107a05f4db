// Package disk is about the room that files take.
package disk

import (
	"errors"
	"io/fs"
	"path/filepath"
)

// Used adds up the lengths of the regular files at or below a path, which need not be there.
func Used(path string) (n int64, err error) {
	err = filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		st, err := d.Info()
		if err == nil {
			n += st.Size()
		}
		return err
	})
	return n, err
}
