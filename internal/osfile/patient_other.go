//go:build !windows

package osfile

// Patiently calls fn; only Windows refuses a call because another process has the file open.
func Patiently(fn func() error) error { return fn() }
