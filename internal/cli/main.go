package cli

import (
	"context"
	"io"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/nacre-backup/nacre/internal/clock"
)

// Process is what a run of the program is given: all that the rest of the package knows of its surroundings.
type Process struct {
	Args   []string // the first one is the program as it was called
	Stdin  *os.File
	Stdout *os.File
	Stderr *os.File
	Env    func(name string) (string, bool)
	Clock  clock.Clock
	Rand   clock.Rand
	// Exit ends the process at once, after a second signal.
	Exit func(code int)
}

// Main runs the program as the system started it and returns its exit code. exit ends the process at once.
func Main(exit func(code int)) int {
	return Run(Process{
		Args: os.Args, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Env: os.LookupEnv,
		Clock: clock.System{}, Rand: clock.Random, Exit: exit,
	})
}

// app is one run of the program.
type app struct {
	p       Process
	root    *cobra.Command
	global  globals
	out     *output
	stopped chan struct{} // closed by the first signal
	gentle  atomic.Bool   // the running verb looks at stopped itself; the context goes on
	got     atomic.Int32  // the first signal's number
	code    int           // the exit code of a run without an error
}

// Run runs one command and returns its exit code.
func Run(p Process) int {
	a := &app{p: p, stopped: make(chan struct{}), out: newOutput(p)}
	a.root = a.newRoot()
	if len(p.Args) > 0 {
		a.root.SetArgs(p.Args[1:])
	}
	a.out.json = asksForJSON(p) // for errors before the flags are read
	a.root.SetIn(p.Stdin)
	a.root.SetOut(p.Stdout)
	a.root.SetErr(p.Stderr)
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	defer a.watchSignals(cancel)()
	cmd, err := a.root.ExecuteContextC(ctx)
	code := a.finish(cmd, err)
	if err := a.out.close(); err != nil && code == exitOK {
		_, _ = io.WriteString(p.Stderr, "nacre: write the output: "+err.Error()+"\n") // nothing more can be done
		code = exitFailed
	}
	return code
}

// asksForJSON looks for --json without reading the flags, which may be wrong.
func asksForJSON(p Process) bool {
	if v, _ := p.Env("NACRE_JSON"); v == "true" || v == "1" {
		return true
	}
	for _, arg := range p.Args {
		switch arg {
		case "--json":
			return true
		case "--":
			return false
		}
	}
	return false
}

// watchSignals lets the first signal end the run in order and the second one at once. The function it returns ends
// the watching.
func (a *app) watchSignals(cancel context.CancelCauseFunc) func() {
	signals := make(chan os.Signal, 2)
	list := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		list = append(list, syscall.SIGHUP)
	}
	signal.Notify(signals, list...)
	done := make(chan struct{})
	var ended sync.WaitGroup
	ended.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			case s := <-signals:
				if n > 0 {
					a.out.abandon()
					a.p.Exit(signalCode(s))
				}
				a.got.Store(int32(signalNumber(s)))
				close(a.stopped)
				if !a.gentle.Load() {
					cancel(errInterrupted)
				}
			}
		}
	})
	return func() {
		signal.Stop(signals)
		close(done)
		ended.Wait()
	}
}

// signalNumber is the number of a signal, 2 where the system has none.
func signalNumber(s os.Signal) int {
	if n, ok := s.(syscall.Signal); ok && n > 0 {
		return int(n)
	}
	return 2
}

func signalCode(s os.Signal) int { return 128 + signalNumber(s) }
