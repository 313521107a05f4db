// Command linters checks the form of the code: gofmt and go vet, and with --all (the default) gofumpt and staticcheck
// at the versions that this file names, fetched by the go command into its module cache and never into go.mod.
//
//	go run ./tools/linters
//
// The settings of golangci-lint, for those who run it, stand in .golangci.yml.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// linters are the commands; a command fails if it exits with an error or, where silent is set, if it prints anything.
var linters = []struct {
	name   string
	silent bool
	args   []string
}{
	{"gofumpt", true, []string{"run", "mvdan.cc/gofumpt@v0.12.0", "-l", "-extra", "bench", "cmd", "internal", "test", "tools"}},
	{"vet", false, []string{"vet", "./..."}},
	{"staticcheck", false, []string{"run", "honnef.co/go/tools/cmd/staticcheck@v0.8.2", "./..."}},
}

func main() {
	failed := false
	for _, l := range linters {
		args := l.args
		if l.silent {
			args = onlyThere(args)
		}
		out, err := exec.Command("go", args...).CombinedOutput()
		text := findings(string(out))
		switch {
		case err != nil:
			fmt.Printf("%s: %v\n%s\n", l.name, err, out)
			failed = true
		case l.silent && text != "":
			fmt.Printf("%s: not formatted:\n%s\n", l.name, text)
			failed = true
		default:
			fmt.Printf("%s: clean\n", l.name)
		}
	}
	if failed {
		os.Exit(1)
	}
}

// onlyThere drops the folders that do not exist from the arguments of a linter that takes folders.
func onlyThere(args []string) []string {
	var there []string
	for _, a := range args {
		if _, err := os.Stat(a); err != nil && !strings.ContainsAny(a, "-@") && a != "run" {
			continue
		}
		there = append(there, a)
	}
	return there
}

// findings drops the go command's own words (downloads) from a linter's output.
func findings(out string) string {
	var lines []string
	for _, line := range strings.Split(out, "\n") {
		if line != "" && !strings.HasPrefix(line, "go: ") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}
