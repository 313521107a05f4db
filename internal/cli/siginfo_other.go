//go:build !linux && !darwin && !freebsd && !netbsd && !openbsd && !dragonfly

package cli

import "os"

// infoSignals is empty: this system has none.
var infoSignals []os.Signal
