package cli

import (
	"os"
	"syscall"
)

// infoSignals ask a running verb for its state.
var infoSignals = []os.Signal{syscall.SIGUSR1}
