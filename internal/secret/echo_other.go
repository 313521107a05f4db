//go:build !linux && !darwin && !dragonfly && !freebsd && !netbsd && !openbsd

package secret

// hideInput leaves it to term.ReadPassword.
func hideInput(int) error { return nil }
