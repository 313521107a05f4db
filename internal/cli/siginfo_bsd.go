//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package cli

import (
	"os"
	"syscall"
)

// infoSignals ask a running verb for its state.
var infoSignals = []os.Signal{syscall.SIGINFO, syscall.SIGUSR1}
