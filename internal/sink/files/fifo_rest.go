//go:build !linux && !freebsd

package files

import "os"

// makeFIFO is not reached: there are no FIFOs here, or none can be made in an open directory.
func makeFIFO(*os.Root, string) error { return errNotHere }
