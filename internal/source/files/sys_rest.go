//go:build (!linux && !darwin && !freebsd && !windows) || portable

package files

import (
	"io/fs"

	"github.com/nacre-backup/nacre/internal/tree"
)

// Where nothing more is known of the system, an entry has type, mode, time and size, and no identity.

func (r *rec) fromSystem(fs.FileInfo) {}

func identifyPath(*system, string) {}

func describePath(*tree.Entry, string, bool) {}
