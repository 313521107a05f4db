package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"github.com/nacre-backup/nacre/internal/backup"
	"github.com/nacre-backup/nacre/internal/clock"
	"github.com/nacre-backup/nacre/internal/connect"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/source"
	"github.com/nacre-backup/nacre/internal/tree"
)

// streamSource makes standard input, or a command's output, the source.
func (a *app) streamSource(f *backupFlags, o *backup.Options, args []string) error {
	if f.dryRun {
		return errs.New(errs.Usage, "--dry-run does not go with a stream: it would have to be read")
	}
	now := a.p.Clock.Now()
	s := connect.Stream{
		Name: f.stdinName, Time: tree.Time{Sec: now.Unix(), Nsec: uint32(now.Nanosecond())}, User: o.User,
		UID: uint32(max(os.Getuid(), 0)), GID: uint32(max(os.Getgid(), 0)),
	}
	o.Kind = "stdin"
	switch {
	case f.fromCommand:
		o.Kind = "command"
		s.Command, s.Stderr, s.Env = args, a.p.Stderr, withoutSecrets(os.Environ())
	case terminal(a.p.Stdin):
		return errs.WithHint(errs.New(errs.Usage, "standard input is a terminal"), "pipe something into it, as in: pg_dump db | nacre backup --stdin")
	case a.global.passwordFile == "-":
		return errs.New(errs.Usage, "standard input cannot be both the password and what is backed up")
	default:
		s.Reader = &stdinReader{f: a.p.Stdin, clock: a.p.Clock, stop: a.stopped}
	}
	src, err := connect.OpenStream(s)
	if err != nil {
		return err
	}
	o.Stream, o.Roots = true, []string{src.Root()}
	opened := false
	o.Open = func(context.Context) (source.Source, error) {
		if opened {
			return nil, errs.New(errs.Unsupported, "read %s: a stream can be read once", src.Root())
		}
		opened = true
		return src, nil
	}
	return nil
}

// withoutSecrets is the environment for a command that is not nacre's own.
func withoutSecrets(env []string) (kept []string) {
	for _, e := range env {
		name, _, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(name, "NACRE_PASSWORD") && name != "NACRE_KEYFILE" {
			kept = append(kept, e)
		}
	}
	return kept
}

// grace is how long the end of standard input waits for a signal that ended the program before the pipe, too.
const grace = 100 * time.Millisecond

// stdinReader reads standard input until it ends or the run is interrupted. A key that interrupts a pipe ends the
// program before it as well, whose end may be seen before the signal is: half a dump must never become a snapshot.
type stdinReader struct {
	f     *os.File
	clock clock.Clock
	stop  <-chan struct{}
}

func (r *stdinReader) Read(p []byte) (int, error) {
	if err := waitReadable(r.f, r.stop); err != nil {
		return 0, err
	}
	n, err := r.f.Read(p)
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	if serr := r.clock.Sleep(context.Background(), grace); serr != nil {
		return n, serr
	}
	select {
	case <-r.stop:
		return n, errInterrupted
	default:
		return n, io.EOF
	}
}
