//go:build unix

package test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var signalsByName = map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP}

// signalled runs a program that writes to a repository, sends it a signal once it has opened a session there (and, but
// for a stream, has written a part of a pack), so many times, and compares its exit code: signalled REPO SIGNAL TIMES CODE program [args...]. What it said is in the file
// "said".
func signalled(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 5 {
		ts.Fatalf("usage: signalled REPO SIGNAL TIMES CODE program [args...]")
	}
	path, err := lookPath(ts, args[4])
	ts.Check(err)
	cmd := exec.Command(path, args[5:]...)
	cmd.Args[0] = args[4]
	cmd.Dir, cmd.Env = ts.MkAbs("."), environment(ts)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	pattern := filepath.Join(ts.MkAbs(args[0]), "sessions", "*", "*")
	before, err := filepath.Glob(pattern)
	ts.Check(err)
	// A standard input that is silent, so that --stdin waits.
	in, err := cmd.StdinPipe()
	ts.Check(err)
	defer func() { _ = in.Close() }()
	ts.Check(cmd.Start())
	killer := time.AfterFunc(5*time.Minute, func() { _ = cmd.Process.Kill() })
	defer killer.Stop()
	var ended atomic.Bool
	done := make(chan error, 1) // one answer
	go func() {
		err := cmd.Wait()
		ended.Store(true)
		done <- err
	}()
	stream := slices.Contains(args, "--stdin")
	for {
		now, err := filepath.Glob(pattern)
		ts.Check(err)
		if len(now) > len(before) && (stream || packBegun(ts, args[0])) {
			break
		}
		time.Sleep(5 * time.Millisecond)
		if ended.Load() {
			break
		}
	}
	times, err := strconv.Atoi(args[2])
	ts.Check(err)
	for range times {
		_ = cmd.Process.Signal(signalsByName[args[1]]) // it may have ended after the first
		time.Sleep(20 * time.Millisecond)
	}
	err = <-done
	ts.Check(os.WriteFile(ts.MkAbs("said"), said.Bytes(), 0o600))
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	}
	if strconv.Itoa(got) != args[3] {
		ts.Fatalf("exit code %d, want %s:\n%s", got, args[3], said.String())
	}
}

// packBegun reports whether a pack with something in it is being written to the repository: a checkpoint then has
// something to save.
func packBegun(ts *testscript.TestScript, repo string) bool {
	temps, err := filepath.Glob(filepath.Join(ts.MkAbs(repo), "+tmp", "*"))
	ts.Check(err)
	for _, path := range temps {
		if info, err := os.Stat(path); err == nil && info.Size() >= 1<<20 {
			return true
		}
	}
	return false
}

// public makes a folder that an ordinary user can work in, with a copy of the program, and calls it by a variable:
// public NAME.
func public(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: public NAME")
	}
	dir, err := os.MkdirTemp("", "nacre-test-")
	ts.Check(err)
	ts.Defer(func() { _ = os.RemoveAll(dir) })
	ts.Check(os.Chmod(dir, 0o777)) //nolint:gosec // that is its purpose
	path, err := lookPath(ts, "nacre")
	ts.Check(err)
	program, err := os.ReadFile(path)
	ts.Check(err)
	ts.Check(os.WriteFile(filepath.Join(dir, "nacre"), program, 0o755)) //nolint:gosec // a program
	ts.Setenv(args[0], dir)
}

// asuser runs a program as an ordinary user in the folder that public made, which is its home, too: asuser CODE DIR
// program [args...]. What it said is in the file "said".
func asuser(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: asuser CODE DIR program [args...]")
	}
	dir := args[1]
	path := args[2]
	if path == "nacre" {
		path = filepath.Join(dir, "nacre")
	}
	cmd := exec.Command(path, args[3:]...)
	cmd.Args[0] = args[2]
	cmd.Dir = dir
	cmd.Env = []string{"HOME=" + dir, "PATH=" + dir + ":/usr/bin:/bin:/usr/sbin:/sbin", "NACRE_REPOSITORY=" + ts.Getenv("NACRE_REPOSITORY")}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	out, err := cmd.CombinedOutput()
	ts.Check(os.WriteFile(ts.MkAbs("said"), out, 0o600))
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if fmt.Sprint(got) != args[0] {
		ts.Fatalf("exit code %d, want %s:\n%s", got, args[0], out)
	}
}
