package osfile

import (
	"os"

	"golang.org/x/sys/unix"
)

// RenameNoReplace renames a file from one open directory to another unless the new name is taken (fs.ErrExist).
// Unsupported tells of file systems that cannot.
func RenameNoReplace(from *os.File, oldName string, to *os.File, newName string) error {
	return control(from, func(a int) error {
		return control(to, func(b int) error {
			if err := unix.Renameat2(a, oldName, b, newName, unix.RENAME_NOREPLACE); err != nil {
				return &os.LinkError{Op: "renameat2", Old: oldName, New: newName, Err: err}
			}
			return nil
		})
	})
}
