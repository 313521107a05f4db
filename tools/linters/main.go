// Command linters checks the form of the code: gofumpt, go vet and staticcheck, at the versions that this file names,
// fetched by the go command into its module cache and never into go.mod.
//
//	go run ./tools/linters [--golangci]
//
// With --golangci it also runs golangci-lint with the settings of .golangci.yml. That is asked for, since the first time
// it compiles for minutes.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// linter is a command of go. It fails if it exits with an error or, where silent is set, if it prints anything.
type linter struct {
	name   string
	silent bool
	args   []string
}

var linters = []linter{
	{"gofumpt", true, []string{"run", "mvdan.cc/gofumpt@v0.12.0", "-l", "-extra", "bench", "cmd", "internal", "test", "tools"}},
	{"vet", false, []string{"vet", "./..."}},
	{"staticcheck", false, []string{"run", "honnef.co/go/tools/cmd/staticcheck@v0.8.2", "./..."}},
}

// golangci runs many linters at once; its version stands here beside the others'.
var golangci = linter{"golangci-lint", false, []string{
	"run", "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0", "run", "--allow-parallel-runners",
	"--max-issues-per-linter", "0", "--max-same-issues", "0",
}}

func main() {
	all := flag.Bool("golangci", false, "run golangci-lint too")
	flag.Parse()
	if *all {
		linters = append(linters, golangci)
	}
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
