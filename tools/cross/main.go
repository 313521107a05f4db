// Command cross builds the program and the test binary of every package for the systems that nacre is made for, so
// that what only compiles elsewhere goes on compiling:
//
//	go run ./tools/cross
package main

import (
	"fmt"
	"os"
	"os/exec"
)

var systems = [][2]string{
	{"linux", "arm64"},
	{"darwin", "arm64"},
	{"windows", "amd64"},
	{"freebsd", "amd64"},
}

func main() {
	failed := false
	for _, s := range systems {
		env := append(os.Environ(), "GOOS="+s[0], "GOARCH="+s[1], "CGO_ENABLED=0")
		for _, args := range [][]string{
			{"build", "-o", os.DevNull, "./cmd/nacre"},
			{"test", "-c", "-o", os.DevNull, "./internal/..."},
		} {
			cmd := exec.Command("go", args...)
			cmd.Env = env
			if out, err := cmd.CombinedOutput(); err != nil {
				fmt.Printf("%s/%s: go %v: %v\n%s\n", s[0], s[1], args, err, out)
				failed = true
				continue
			}
			fmt.Printf("%s/%s: go %s: links\n", s[0], s[1], args[0])
		}
	}
	if failed {
		os.Exit(1)
	}
}
