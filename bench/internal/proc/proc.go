// Package proc is about what a process costs: processor time, time on the clock, memory. It also describes the machine,
// without which such figures say nothing.
package proc

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Command is what is run.
type Command struct {
	Args   []string
	Dir    string
	Env    []string  // added to this process's
	Stdout io.Writer // nil: nowhere
}

// Usage is what a command cost. Memory is that of the process itself, not of its children; processor time has both.
type Usage struct {
	User, Sys, Wall float64 // seconds
	Peak            int64   // bytes: the highest resident memory (VmHWM)
	Anon            int64   // bytes: the highest anonymous memory that was seen (RssAnon, every 5 ms)
}

// CPU is the processor time.
func (u Usage) CPU() float64 { return u.User + u.Sys }

// Then is the usage of two commands, one after the other.
func (u Usage) Then(v Usage) Usage {
	return Usage{
		User: u.User + v.User, Sys: u.Sys + v.Sys, Wall: u.Wall + v.Wall,
		Peak: max(u.Peak, v.Peak), Anon: max(u.Anon, v.Anon),
	}
}

// sampling is how often memory is looked at.
const sampling = 5 * time.Millisecond

// Run runs a command to its end and measures it. The end of ctx kills this command and nothing else. An exit code other
// than 0 is an error with the end of what it wrote to stderr.
func Run(ctx context.Context, c Command) (Usage, error) {
	cmd := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	cmd.Dir, cmd.Stdout = c.Dir, c.Stdout
	cmd.Env = append(os.Environ(), c.Env...)
	var stderr tail
	cmd.Stderr = &stderr
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return Usage{}, fmt.Errorf("run %s: %w", c.Args[0], err)
	}
	ended, sampled := make(chan struct{}), make(chan Usage)
	go func() { sampled <- watch(cmd.Process.Pid, ended) }()
	err := cmd.Wait()
	wall := time.Since(start)
	close(ended)
	u := <-sampled
	u.Wall = wall.Seconds()
	u.User, u.Sys = cmd.ProcessState.UserTime().Seconds(), cmd.ProcessState.SystemTime().Seconds()
	if err != nil {
		return u, fmt.Errorf("%s: %w: %s", strings.Join(c.Args, " "), err, stderr.String())
	}
	return u, nil
}

// watch looks at a process's memory until it has ended.
func watch(pid int, ended <-chan struct{}) Usage {
	var u Usage
	tick := time.NewTicker(sampling)
	defer tick.Stop()
	for {
		m := memory(pid)
		u.Peak, u.Anon = max(u.Peak, m.Peak), max(u.Anon, m.Anon)
		select {
		case <-ended:
			return u
		case <-tick.C:
		}
	}
}

// Memory is the highest resident and the present anonymous memory of this process; zero where the system does not tell.
func Memory() (peak, anon int64) {
	u := memory(os.Getpid())
	return u.Peak, u.Anon
}

// memory reads the present VmHWM and RssAnon of a process; zero where there is no such file.
func memory(pid int) Usage {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Usage{}
	}
	return Usage{Peak: kib(string(text), "VmHWM:"), Anon: kib(string(text), "RssAnon:")}
}

// kib finds a line "key  123 kB" and returns its bytes.
func kib(text, key string) int64 {
	_, rest, ok := strings.Cut(text, key)
	if !ok {
		return 0
	}
	var n int64
	if _, err := fmt.Sscan(rest, &n); err != nil {
		return 0
	}
	return n << 10
}

// tail keeps the last bytes written.
type tail struct{ b []byte }

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if len(t.b) > 2000 {
		t.b = append(t.b[:0], t.b[len(t.b)-1000:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return strings.TrimSpace(string(t.b)) }
