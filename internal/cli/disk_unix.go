//go:build unix

package cli

import "golang.org/x/sys/unix"

// sameDisk reports whether two paths are on one file system, or may be.
func sameDisk(a, b string) bool {
	var s, t unix.Stat_t
	if unix.Stat(a, &s) != nil || unix.Stat(b, &t) != nil {
		return true
	}
	return s.Dev == t.Dev
}
