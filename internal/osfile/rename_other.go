//go:build !linux && !darwin

package osfile

import (
	"os"

	"github.com/nacre-backup/nacre/internal/errs"
)

// RenameNoReplace renames a file from one open directory to another unless the new name is taken; this system has no
// such call.
func RenameNoReplace(*os.File, string, *os.File, string) error {
	return errs.New(errs.Unsupported, "rename without replacing")
}
