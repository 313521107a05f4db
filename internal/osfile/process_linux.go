package osfile

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
)

var self = sync.OnceValue(func() Process {
	p := Process{PID: os.Getpid()}
	machine, err := os.ReadFile("/etc/machine-id")
	if err != nil || len(machine) < 32 {
		return p
	}
	host, err := os.Hostname()
	if err != nil {
		return p
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return p
	}
	space, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return p
	}
	start, _, err := processStart(p.PID)
	if err != nil {
		return p
	}
	p.Machine = short(append(machine, host...))
	p.Boot = short(boot)
	p.Namespace = strings.Trim(strings.TrimPrefix(space, "pid:"), "[]")
	p.Start = start
	return p
})

func short(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:6])
}

// processStart returns when a process started, in clock ticks since boot, and its state letter. The command's name
// stands in parentheses and may hold anything, so the fields are counted from the last one.
func processStart(pid int) (start, state string, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", "", err
	}
	i := strings.LastIndexByte(string(stat), ')')
	if i < 0 {
		return "", "", fmt.Errorf("/proc/%d/stat has no name", pid)
	}
	f := strings.Fields(string(stat[i+1:]))
	if len(f) < 20 {
		return "", "", fmt.Errorf("/proc/%d/stat has %d fields", pid, len(f))
	}
	return f[19], f[0], nil
}

// stateOf asks by a signal first: a /proc mounted with hidepid shows no other user's processes.
func stateOf(p Process) State {
	if err := syscall.Kill(p.PID, 0); errors.Is(err, syscall.ESRCH) {
		return Dead
	}
	start, state, err := processStart(p.PID)
	switch {
	case err != nil:
		return Unknown
	case start != p.Start || state == "Z" || state == "X":
		return Dead
	}
	return Running
}
