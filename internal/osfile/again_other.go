//go:build !unix

package osfile

// Again calls fn until no signal interrupts it; here none does.
func Again(fn func() error) error { return fn() }
