// Command wine runs the tests of the rooms as Windows programs, on a Linux machine, under Wine:
//
//	go run ./tools/wine            # every room
//	go run ./tools/wine ./internal/osfile ./internal/store/...
//
// It installs Wine with apt-get if it is missing and it may, builds the test binaries for Windows, runs each in the
// folder of its package with -test.short, and prints a line per room. What Wine cannot show stands in table.go with
// its reason, and is printed. After the rooms it builds the program and lets it back up and restore a folder. Wine is not Windows: a room that passes here may still fail there, for Wine keeps its
// files in Linux's; but paths, drives, reserved names, attributes and open modes take Windows' way through the code.
//
// Without Wine, or where the time runs out, it says so and exits with 0: it never stands in the way. A test that fails
// makes it exit with 1. A room that takes more than its time counts as not possible, and says which tests were running.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

func main() {
	limit := flag.Duration("time", 5*time.Minute, "how long everything may take")
	verbose := flag.Bool("v", false, "print what the tests print")
	program := flag.Bool("program", true, "let the program back up and restore after the tests")
	flag.Parse()
	packages := flag.Args()
	if len(packages) == 0 {
		packages = []string{"./internal/..."}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, *limit)
	defer cancel()
	s, err := run(ctx, packages, *program, *verbose)
	if impossible := (*impossibleError)(nil); errors.As(err, &impossible) {
		fmt.Println("not possible:", impossible.reason)
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "wine:", err)
		os.Exit(1)
	}
	for _, what := range notShown {
		fmt.Println("not shown by Wine:", what)
	}
	fmt.Printf("%d rooms passed, %d failed, %d not possible\n", s.passed, s.failed, s.impossible)
	if s.failed > 0 {
		os.Exit(1)
	}
}

// impossibleError tells why nothing can be shown on this machine.
type impossibleError struct{ reason string }

func (e *impossibleError) Error() string { return e.reason }

// sums counts the rooms by how they ended.
type sums struct{ passed, failed, impossible int }

func (s *sums) add(r result) {
	switch r.verdict {
	case "ok":
		s.passed++
	case "FAIL":
		s.failed++
	default:
		s.impossible++
	}
}

// run does the whole of it in a temporary folder.
func run(ctx context.Context, packages []string, whole, verbose bool) (sums, error) {
	var s sums
	if err := install(ctx, os.Stdout); err != nil {
		return s, err
	}
	tmp, err := os.MkdirTemp("", "nacre-wine-")
	if err != nil {
		return s, err
	}
	defer func() {
		if err := os.RemoveAll(tmp); err != nil {
			fmt.Fprintln(os.Stderr, "wine:", err)
		}
	}()
	rooms, err := find(ctx, packages)
	if err != nil {
		return s, err
	}
	changes, err := overlay(ctx, tmp)
	if err != nil {
		return s, &impossibleError{err.Error()}
	}
	w, err := start(ctx, tmp)
	defer w.stop() //nolint:contextcheck // it also stops what a context that is over has left
	if err != nil {
		return s, err
	}
	todo := make(chan room, len(rooms))
	for _, r := range rooms {
		todo <- r
	}
	close(todo)
	var workers sync.WaitGroup
	var printing sync.Mutex
	for range 2 { // one builds while the other's tests wait for something
		workers.Go(func() {
			for r := range todo {
				result := w.test(ctx, r, changes, verbose)
				printing.Lock()
				s.add(result)
				fmt.Printf("%-5s %-18s %s\n", result.verdict, r.name, result.text)
				printing.Unlock()
			}
		})
	}
	workers.Wait()
	if ctx.Err() == nil && whole {
		r := w.program(ctx, changes)
		s.add(r)
		fmt.Printf("%-5s %-18s %s\n", r.verdict, "the program", r.text)
	}
	return s, nil
}
