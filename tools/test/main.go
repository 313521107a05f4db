// Command test is the one command that runs nacre's tests on a fresh machine:
//
//	go run ./tools/test [--all] [--corpus] [--race] [--run REGEXP] [PACKAGE ...]
//
// It finds out what the machine offers (system, root or sudo, apt-get, FUSE, loop devices), installs by apt-get what
// the tests need and is missing where it may and else prints the one command that would, runs every test that can run,
// and ends with the line "N passed, N failed, N skipped" and the reason of each skip. It exits with 1 if a test
// failed, and with --all also if one was skipped, but for those that need FUSE, loop devices or root on a machine that
// was found to have none: no command can bring them.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// options are the flags.
type options struct {
	all      bool
	corpus   bool
	race     bool
	run      string
	packages []string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var o options
	flag.BoolVar(&o.all, "all", false, "a skipped test is a failure, if the machine has what it needs or can have it")
	flag.BoolVar(&o.corpus, "corpus", false, "also the tests on the Linux kernel's source tree (Debian package "+corpusPackage+")")
	flag.BoolVar(&o.race, "race", false, "the short form of the tests, with the race detector (needs a C compiler)")
	flag.StringVar(&o.run, "run", "", "only the tests whose name matches this regular expression")
	flag.Parse()
	o.packages = flag.Args()
	if len(o.packages) == 0 {
		o.packages = []string{"./..."}
	}
	code, err := run(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "test:", err)
		code = 1
	}
	os.Exit(code)
}

// run does the whole of it and returns the exit code.
func run(ctx context.Context, o options) (int, error) {
	h := look()
	fmt.Println(h)
	h.provide(ctx, os.Stdout, o)
	res, err := runTests(ctx, os.Stdout, o)
	if err != nil {
		return 1, err
	}
	res.print(os.Stdout)
	if res.failed > 0 {
		return 1, nil
	}
	if !o.all {
		return 0, nil
	}
	for _, s := range res.skips {
		if _, reason, _ := strings.Cut(s, ": "); !h.lacks(reason) {
			fmt.Println("--all: this machine has what was said to be missing, or can have it:", s)
			return 1, nil
		}
	}
	return 0, nil
}
