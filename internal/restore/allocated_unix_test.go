//go:build unix

package restore_test

import (
	"testing"

	"golang.org/x/sys/unix"
)

// allocated returns how many bytes a file occupies.
func allocated(t *testing.T, path string) (int64, bool) {
	t.Helper()
	var st unix.Stat_t
	must(t, unix.Stat(path, &st))
	return int64(st.Blocks) * 512, true
}
