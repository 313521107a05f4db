package cli

import (
	"context"
	"errors"
	"io/fs"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/nacre-backup/nacre/internal/errs"
)

// The exit codes. They are part of the interface; topic exit-codes and docs/JSON.md list them.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitIncomplete  = 3  // done, but some entries could not be read or written
	exitFindings    = 4  // check found damage, diff found differences
	exitNoRepo      = 10 // no repository there
	exitWrongKey    = 12
	exitDenied      = 13
	exitUnreachable = 14
	exitFull        = 15
	exitNewer       = 16 // the repository's format is newer than the program
)

// errInterrupted is why a context ends after a signal.
var errInterrupted = errors.New("interrupted")

// errNewerFormat marks a repository of a format that this program does not read.
var errNewerFormat = errors.New("newer format")

// codes lists which kind of error ends with which code, the most telling first, and the kind's name in JSON.
var codes = []struct {
	kind  error
	code  int
	name  string
	retry bool // the same command may succeed later
}{
	{errNewerFormat, exitNewer, "newer_format", false},
	{errs.Usage, exitUsage, "usage", false},
	{errs.NoRepository, exitNoRepo, "no_repository", false},
	{errs.WrongKey, exitWrongKey, "wrong_key", false},
	{errs.Full, exitFull, "full", true},
	{errs.Unreachable, exitUnreachable, "unreachable", true},
	{errs.Temporary, exitUnreachable, "temporary", true},
	{errs.Denied, exitDenied, "denied", false},
	{fs.ErrPermission, exitDenied, "denied", false}, // of this machine's own files
	{syscall.ENOSPC, exitFull, "full", true},
	{errs.Corrupt, exitFailed, "damaged", false},
	{errs.NotFound, exitFailed, "not_found", false},
	{errs.Exists, exitFailed, "exists", false},
	{errs.Unsupported, exitFailed, "unsupported", false},
}

// codeOf finds the exit code of an error, its name in JSON and whether it is worth trying again.
func codeOf(err error) (code int, name string, retry bool) {
	for _, c := range codes {
		if errors.Is(err, c.kind) {
			return c.code, c.name, c.retry
		}
	}
	return exitFailed, "failed", false
}

// failure is the last JSON line of a run that failed.
type failure struct {
	Command   string `json:"command,omitempty"`
	Code      string `json:"code"`
	ExitCode  int    `json:"exit_code"`
	Retryable bool   `json:"retryable"`
	Message   string `json:"message"`
	Hint      string `json:"hint,omitempty"`
}

// finish reports how the command ended and returns the exit code.
func (a *app) finish(cmd *cobra.Command, err error) int {
	a.out.endProgress()
	if n := a.got.Load(); n != 0 && (err == nil && a.code != exitOK || err != nil && isInterruption(err)) {
		return a.interrupted(cmd, err, 128+int(n))
	}
	if err == nil {
		return a.code
	}
	code, name, retry := codeOf(err)
	hint := errs.Hint(err)
	if hint == "" && code == exitUsage && cmd != nil {
		hint = a.commandLine(cmd.CommandPath()) + " --help shows what it takes"
	}
	if a.out.json {
		a.out.emit("error", failure{commandName(cmd), name, code, retry, err.Error(), hint})
		return code
	}
	a.out.complain(err.Error(), hint)
	return code
}

// interrupted reports a run that a signal ended.
func (a *app) interrupted(cmd *cobra.Command, err error, code int) int {
	message := errInterrupted.Error()
	if err != nil && !errors.Is(err, context.Canceled) && err.Error() != message {
		message = err.Error()
	}
	if a.out.json {
		a.out.emit("error", failure{commandName(cmd), "interrupted", code, true, message, errs.Hint(err)})
		return code
	}
	a.out.complain(message, errs.Hint(err))
	return code
}

// isInterruption reports whether err is what a signal leads to.
func isInterruption(err error) bool {
	return errors.Is(err, errInterrupted) || errors.Is(err, context.Canceled)
}

func commandName(cmd *cobra.Command) string {
	if cmd == nil {
		return ""
	}
	return cmd.Name()
}
