// Package program is about the built program under test: it builds nacre for the tests of a package and gives them an
// environment in which nothing of whoever runs them steers it.
package program

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

var built string

// Path is where the program stands while Main runs the tests.
func Path() string { return built }

// Main builds the program, runs the tests and returns their exit code. The package stands two folders below the
// module's own, as all in test/ do.
func Main(m *testing.M) int {
	dir, err := os.MkdirTemp("", "nacre-test-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }() // a temporary folder
	built = filepath.Join(dir, "nacre")
	if runtime.GOOS == "windows" {
		built += ".exe"
	}
	build := exec.Command("go", "build", "-o", built, "./cmd/nacre")
	build.Dir = filepath.Join("..", "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the program: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// Env is the environment of whoever runs the tests, without what steers nacre and with the variables.
func Env(variables ...string) []string {
	var env []string
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if !strings.HasPrefix(name, "NACRE_") && !strings.HasPrefix(name, "XDG_") && name != "HOME" && name != "CREDENTIALS_DIRECTORY" {
			env = append(env, v)
		}
	}
	return append(env, variables...)
}

// Settle waits until what was just made is old enough to be believed unchanged: a backup does not trust changes of the
// last two seconds before it.
func Settle() { time.Sleep(2500 * time.Millisecond) }
