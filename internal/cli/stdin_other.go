//go:build !unix

package cli

import "os"

// waitReadable is unknown here: a silent pipe holds up the end of an interrupted run.
func waitReadable(_ *os.File, stop <-chan struct{}) error {
	select {
	case <-stop:
		return errInterrupted
	default:
		return nil
	}
}
