package files

func newSystem(target string, opts Options, l *losses) (implementation, error) {
	return newLinux(target, opts, l)
}
