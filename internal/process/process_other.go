//go:build !linux

package process

import "os"

// self knows the number alone, so that no other process is ever taken for dead: pruners wait for its session, or
// kill it after its silence.
func self() ID { return ID{PID: uint64(os.Getpid())} }

func begin(uint64) (uint64, bool) { return 0, true }
