//go:build !linux

package files

func newSystem(target string, opts Options, l *losses) (implementation, error) {
	return newPortable(target, opts, l)
}
