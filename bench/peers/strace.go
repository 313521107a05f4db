package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"

	"github.com/nacre-backup/nacre/bench/internal/proc"
)

// count runs a command under strace and returns how many system calls it made.
func count(ctx context.Context, args []string, dir string, env []string, file string) (int64, error) {
	args = append([]string{"strace", "-f", "-c", "-o", file, "--"}, args...)
	if _, err := proc.Run(ctx, proc.Command{Args: args, Dir: dir, Env: env}); err != nil {
		return 0, err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	return total(text)
}

// total reads the last line of strace's account: % time, seconds, usecs/call, calls, perhaps errors, "total".
func total(text []byte) (int64, error) {
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	fields := bytes.Fields(lines[len(lines)-1])
	if len(fields) < 5 || string(fields[len(fields)-1]) != "total" {
		return 0, fmt.Errorf("strace ends with %q", lines[len(lines)-1])
	}
	return strconv.ParseInt(string(fields[3]), 10, 64)
}
