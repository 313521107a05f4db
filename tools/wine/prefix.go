package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

const (
	wineProgram = "/usr/lib/wine/wine64"
	wineServer  = "/usr/lib/wine/wineserver64"
)

// install sees to it that Wine is there.
func install(ctx context.Context, out io.Writer) error {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return &impossibleError{"this is " + runtime.GOOS + "/" + runtime.GOARCH + ", not linux/amd64"}
	}
	if there() {
		return nil
	}
	var sudo []string
	if os.Geteuid() != 0 {
		sudo = []string{"sudo", "-n"}
	}
	fmt.Fprintln(out, "installing wine64")
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	var said string
	for _, args := range [][]string{{"update"}, {"install", "-y", "--no-install-recommends", "wine64"}} {
		args = append(append(sudo, "apt-get"), args...)
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		cmd.WaitDelay = 10 * time.Second
		if text, err := cmd.CombinedOutput(); err != nil {
			said = fmt.Sprintf(": %s: %v: %s", strings.Join(args, " "), err, lastLine(text))
		}
	}
	if !there() {
		return &impossibleError{"needs wine64 (apt)" + said}
	}
	return nil
}

func there() bool {
	for _, path := range []string{wineProgram, wineServer} {
		if _, err := os.Stat(path); err != nil {
			return false
		}
	}
	return true
}

// prefix is a Windows of its own in a temporary folder.
type prefix struct {
	dir string // the temporary folder
	env []string
}

// start makes the prefix and tries it with a program that does nothing. The prefix must be stopped, also after an
// error.
func start(ctx context.Context, tmp string) (*prefix, error) {
	dir := filepath.Join(tmp, "prefix")
	w := &prefix{dir: tmp, env: append(os.Environ(),
		"WINEPREFIX="+dir,
		"WINEDEBUG=-all",
		"WINEARCH=win64",
		"DISPLAY=",
		// No browser, no .NET, no menus: what a first start would look for and ask about.
		"WINEDLLOVERRIDES=mscoree,mshtml=;winemenubuilder.exe=d",
	)}
	if out, err := w.run(ctx, tmp, "wineboot", "--init"); err != nil {
		return w, &impossibleError{fmt.Sprintf("start of Wine: %v: %s", err, lastLine(out))}
	}
	library := filepath.Join(dir, "drive_c/windows/system32", dllName)
	if _, err := os.Stat(library); err != nil {
		if err := os.WriteFile(library, randomDLL(), 0o644); err != nil {
			return w, &impossibleError{err.Error()}
		}
	}
	return w, nil
}

// run runs a Windows program in a folder, with nothing on its standard input, and returns what it prints.
func (w *prefix) run(ctx context.Context, dir, program string, args ...string) ([]byte, error) {
	// A file, since Wine's own processes inherit the output and would hold a pipe open.
	out, err := os.CreateTemp(w.dir, "output")
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.CommandContext(ctx, wineProgram, append([]string{program}, args...)...)
	cmd.Dir, cmd.Env = dir, w.env
	cmd.Stdout, cmd.Stderr = out, out
	err = cmd.Run()
	text, readErr := os.ReadFile(out.Name())
	return bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), errors.Join(err, readErr)
}

// stop ends every process of the prefix and waits for them. It has a time of its own, since the command's may be over.
func (w *prefix) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for _, flag := range []string{"-k", "-w"} {
		cmd := exec.CommandContext(ctx, wineServer, flag)
		cmd.Env = w.env
		_ = cmd.Run() // -k exits with 1 where no server runs, which is what it is for
	}
}

func lastLine(text []byte) string {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1]
}
