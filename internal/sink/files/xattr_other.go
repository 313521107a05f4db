//go:build !darwin && !freebsd

package files

import (
	"os"

	"github.com/nacre-backup/nacre/internal/errs"
)

// setXattr is not reached: this system is not one where the portable sink restores attributes.
func setXattr(*os.File, string, []byte) error {
	return errs.New(errs.Unsupported, "no extended attributes on this system")
}
