package test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// pty runs a program on a terminal of its own and types the lines of a file, one for each prompt, that is, each time
// the terminal shows a line that ends with a colon and a space: pty FILE CODE program [args...]. What the terminal
// showed is then in the file "screen".
func pty(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: pty FILE CODE program [args...]")
	}
	answers := strings.SplitAfter(ts.ReadFile(args[0]), "\n")
	master, slave := openTerminal(ts)
	defer func() { _ = master.Close() }()
	path, err := lookPath(ts, args[2])
	ts.Check(err)
	cmd := exec.Command(path, args[3:]...)
	cmd.Args[0] = args[2]
	cmd.Dir = ts.Getenv("PWD")
	if cmd.Dir == "" {
		cmd.Dir = ts.MkAbs(".")
	}
	cmd.Env = environment(ts)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	ts.Check(cmd.Start())
	ts.Check(slave.Close())
	killer := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	defer killer.Stop()

	var screen bytes.Buffer
	var ended sync.WaitGroup
	ended.Go(func() {
		buf := make([]byte, 4096)
		fresh := 0 // where the part of the screen begins that no answer was given to
		for {
			n, err := master.Read(buf)
			screen.Write(buf[:n])
			if bytes.HasSuffix(screen.Bytes()[fresh:], []byte(": ")) && len(answers) > 0 {
				fresh = screen.Len()
				_, _ = io.WriteString(master, answers[0])
				answers = answers[1:]
			}
			if err != nil { // EIO: nobody holds the other side any more
				return
			}
		}
	})
	err = cmd.Wait()
	ended.Wait()
	ts.Check(os.WriteFile(ts.MkAbs("screen"), screen.Bytes(), 0o600))
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(got) != args[1] {
		ts.Fatalf("exit code %d, want %s; the terminal shows:\n%s", got, args[1], screen.String())
	}
}

// openTerminal makes a pseudo-terminal of 80 columns.
func openTerminal(ts *testscript.TestScript) (master, slave *os.File) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	ts.Check(err)
	var n int
	conn, err := master.SyscallConn()
	ts.Check(err)
	var ierr error
	ts.Check(conn.Control(func(fd uintptr) {
		if ierr = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); ierr != nil {
			return
		}
		if n, ierr = unix.IoctlGetInt(int(fd), unix.TIOCGPTN); ierr != nil {
			return
		}
		ierr = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80})
	}))
	ts.Check(ierr)
	slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	ts.Check(err)
	return master, slave
}

// tmpfs mounts a small file system for the script: tmpfs DIR BYTES. It is taken away when the script ends.
func tmpfs(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: tmpfs DIR BYTES")
	}
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	ts.Check(unix.Mount("nacre-test", dir, "tmpfs", 0, "size="+args[1]))
	ts.Defer(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
}

// canMount reports whether this process may mount.
func canMount() bool {
	dir, err := os.MkdirTemp("", "nacre-test-")
	if err != nil {
		return false
	}
	defer func() { _ = os.Remove(dir) }()
	if unix.Mount("nacre-test", dir, "tmpfs", 0, "size=65536") != nil {
		return false
	}
	return unix.Unmount(dir, unix.MNT_DETACH) == nil
}
