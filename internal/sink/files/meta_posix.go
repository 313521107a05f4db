//go:build !windows

package files

import (
	"os"
	"runtime"
	"time"

	"github.com/nacre-backup/nacre/internal/tree"
)

// knownFlags are those that the portable sink sets here.
const knownFlags = 0

// setTimes sets the modification time. FreeBSD takes one that lies before the time of creation for that too.
func setTimes(root *os.Root, _ *os.File, name string, e *tree.Entry) error {
	if runtime.GOOS == "freebsd" && !e.BirthTime.IsZero() && e.BirthTime.Less(e.ModTime) {
		if err := root.Chtimes(name, time.Time{}, time.Unix(e.BirthTime.Sec, int64(e.BirthTime.Nsec))); err != nil {
			return err
		}
	}
	return root.Chtimes(name, time.Time{}, time.Unix(e.ModTime.Sec, int64(e.ModTime.Nsec)))
}

// giveWay has nothing to do: no file keeps itself from being replaced.
func giveWay(*os.Root, string) error { return nil }
