package process

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io/fs"
	"math"
	"os"
	"strconv"
	"strings"
	"syscall"
)

func self() ID {
	p := ID{PID: uint64(os.Getpid())}
	p.Start, _ = begin(p.PID)
	p.Boot = line("/proc/sys/kernel/random/boot_id")
	if ns, err := os.Readlink("/proc/self/ns/pid"); err == nil {
		p.Namespace = ns
	}
	if m := line("/etc/machine-id"); m != "" {
		p.Machine = hashed(m)
	} else if h, err := os.Hostname(); err == nil {
		p.Machine = hashed("host name " + h)
	}
	return p
}

// line reads the first line of a small file of the system, or nothing.
func line(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSpace(first)
}

// hashed keeps a machine's identity out of what other writers can read, as machine-id(5) asks for.
func hashed(s string) string {
	h := sha256.Sum256([]byte("nacre/1 machine " + s))
	const digits = "0123456789abcdef"
	out := make([]byte, 0, 32)
	for _, b := range h[:16] {
		out = append(out, digits[b>>4], digits[b&15])
	}
	return string(out)
}

// begin reads field 22 of /proc/<pid>/stat: the start in clock ticks after the system's. The second field is the
// program's name in parentheses and may hold anything, so that fields are counted after the last parenthesis.
func begin(pid uint64) (uint64, bool) {
	b, err := os.ReadFile("/proc/" + strconv.FormatUint(pid, 10) + "/stat")
	if errors.Is(err, fs.ErrNotExist) {
		// Without /proc nothing can be told.
		if _, err := os.Stat("/proc/self/stat"); err != nil {
			return 0, true
		}
		// A /proc mounted with hidepid shows no other user's processes; a signal tells that they are there.
		return 0, pid > math.MaxInt32 || !errors.Is(syscall.Kill(int(pid), 0), syscall.ESRCH)
	}
	if err != nil {
		return 0, true
	}
	i := bytes.LastIndexByte(b, ')')
	fields := strings.Fields(string(b[i+1:]))
	if i < 0 || len(fields) < 20 {
		return 0, true
	}
	if fields[0] == "Z" { // a zombie does nothing any more
		return 0, false
	}
	start, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return 0, true
	}
	return start, true
}
