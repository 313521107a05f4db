package index

// cache is the folder of runs on this machine.
type cache struct{}
