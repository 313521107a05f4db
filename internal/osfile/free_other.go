//go:build !linux && !darwin && !freebsd

package osfile

import (
	"os"

	"github.com/nacre-backup/nacre/internal/errs"
)

// Free returns how many bytes this user may still write to the file system of f; this system is not asked.
func Free(*os.File) (int64, error) { return 0, errs.New(errs.Unsupported, "free space") }
