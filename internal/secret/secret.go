// Package secret is about where passwords and key files come from: a file, a command's output, a terminal.
//
// A secret never stands in an argument, an error or a log. One line feed at its end (and the carriage return before
// it) is no part of it, since editors and echo add one. Files and outputs of more than 64 KiB are refused.
package secret

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"time"

	"golang.org/x/term"

	"github.com/nacre-backup/nacre/internal/errs"
)

// limit is the most bytes a secret may have.
const limit = 64 << 10

// FromFile reads a secret from a file; "-" is standard input, which the caller hands in.
func FromFile(path string, stdin io.Reader) ([]byte, error) {
	if path == "-" {
		return read(stdin, "standard input")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the secret: %w", kind(err))
	}
	defer func() { _ = f.Close() }() // only read
	return read(f, path)
}

// kind gives an error of the system the kind that callers know.
func kind(err error) error {
	switch {
	case os.IsNotExist(err):
		return errs.As(errs.Usage, err)
	case os.IsPermission(err):
		return errs.As(errs.Denied, err)
	}
	return err
}

func read(r io.Reader, from string) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read the secret from %s: %w", from, err)
	}
	if len(b) > limit {
		return nil, errs.New(errs.Usage, "read the secret from %s: it is longer than %d bytes", from, limit)
	}
	if b = Trim(b); len(b) == 0 {
		return nil, errs.New(errs.Usage, "read the secret from %s: it is empty", from)
	}
	return b, nil
}

// Trim takes one line end off the end of b.
func Trim(b []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
}

// FromCommand runs a line of the system's shell and takes what it prints. What it says on standard error goes to
// stderr. It reads nothing.
func FromCommand(ctx context.Context, line string, stderr io.Writer) ([]byte, error) {
	shell := []string{"/bin/sh", "-c", line}
	if runtime.GOOS == "windows" {
		shell = []string{"cmd", "/C", line}
	}
	cmd := exec.CommandContext(ctx, shell[0], shell[1:]...)
	cmd.Stderr = stderr
	cmd.WaitDelay = time.Second // a grandchild that keeps the pipe open is not waited for
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("run the password command: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("run the password command: %w", err)
	}
	b, readErr := read(out, "the password command")
	if readErr != nil {
		_, _ = io.Copy(io.Discard, out) // so that it can end; its own failure is the better message
	}
	if err := cmd.Wait(); err != nil {
		return nil, errs.WithHint(fmt.Errorf("run the password command: %w", err), "run it by hand and see what it prints")
	}
	return b, readErr
}

// FromTerminal asks for a secret without showing it. It gives up when ctx ends and leaves the terminal as it was.
func FromTerminal(ctx context.Context, tty *os.File, prompt string) ([]byte, error) {
	fd := int(tty.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return nil, fmt.Errorf("ask for the password: %w", err)
	}
	if err := hideInput(fd); err != nil {
		return nil, fmt.Errorf("ask for the password: %w", err)
	}
	defer func() { _ = term.Restore(fd, before) }() // a terminal that refuses is gone
	if _, err := fmt.Fprint(tty, prompt); err != nil {
		return nil, fmt.Errorf("ask for the password: %w", err)
	}
	type answer struct {
		b   []byte
		err error
	}
	answers := make(chan answer, 1) // one answer: the goroutine never waits for its reader
	go func() {
		b, err := term.ReadPassword(fd)
		answers <- answer{b, err}
	}()
	select {
	case a := <-answers:
		_, _ = fmt.Fprintln(tty) // the user's own line end was not shown
		if a.err != nil {
			return nil, fmt.Errorf("ask for the password: %w", a.err)
		}
		return a.b, nil
	case <-ctx.Done():
		// The goroutine sits in a read that cannot be ended; it ends with the next line or with the process.
		_, _ = fmt.Fprintln(tty)
		return nil, context.Cause(ctx)
	}
}
