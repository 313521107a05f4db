//go:build !unix && !windows

package osfile

func systemKind(error) error { return nil }

func refused(error) bool { return false }
