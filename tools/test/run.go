package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// event is a line of go test -json.
type event struct {
	Action      string
	Package     string
	ImportPath  string
	Test        string
	Output      string
	Elapsed     float64
	FailedBuild string
}

// result counts tests and subtests.
type result struct {
	passed, failed int
	skips          []string          // "package test: reason"
	output         map[string]string // of tests under way
	failures       []string
	slow           []string
}

// runTests runs go test and reads its events. The error says that go test could not be run at all.
func runTests(ctx context.Context, out io.Writer, o options) (*result, error) {
	args := []string{"test", "-json", "-count=1", "-timeout=40m"}
	cgo := "CGO_ENABLED=0"
	if o.race {
		// The detector makes everything ten times slower and finds races in short runs as well.
		args, cgo = append(args, "-race", "-short"), "CGO_ENABLED=1"
	}
	if o.run != "" {
		args = append(args, "-run", o.run)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, o.packages...)...)
	cmd.Env = append(cmd.Environ(), cgo)
	if o.corpus {
		cmd.Env = append(cmd.Env, "NACRE_TEST_CORPUS=1")
	}
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("run go test: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("run go test: %w", err)
	}
	res := &result{output: map[string]string{}}
	readErr := res.read(pipe, out)
	err = cmd.Wait()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case readErr != nil:
		return nil, fmt.Errorf("read the output of go test: %w", readErr)
	case err != nil && !errors.As(err, &exit):
		return nil, fmt.Errorf("run go test: %w", err)
	case err != nil && res.failed == 0:
		return nil, fmt.Errorf("go test failed without naming a test: %w", err)
	}
	return res, nil
}

// read takes in the events of r and shows a line for each package and the output of each failed test.
func (res *result) read(r io.Reader, out io.Writer) error {
	lines := bufio.NewReaderSize(r, 1<<20)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil {
				fmt.Fprintf(out, "%s", line)
			} else {
				res.take(e, out)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// keep bounds what is kept of one test's output.
const keep = 64 << 10

func (res *result) take(e event, out io.Writer) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output":
		if len(res.output[key]) < keep {
			res.output[key] += e.Output
		}
	case "build-output":
		if len(res.output[e.ImportPath]) < keep {
			res.output[e.ImportPath] += e.Output
		}
	case "build-fail":
		fmt.Fprintf(out, "--- cannot build %s\n%s", e.ImportPath, res.output[e.ImportPath])
	case "pass", "fail", "skip":
		res.end(e, key, out)
		delete(res.output, key)
	}
}

// end counts a test, or a package, that ended.
func (res *result) end(e event, key string, out io.Writer) {
	name := strings.TrimSpace(short(e.Package) + " " + e.Test)
	if e.Test == "" {
		fmt.Fprintf(out, "%-4s %-40s %6.1fs\n", e.Action, short(e.Package), e.Elapsed)
		if e.Action == "fail" && !res.blamed(short(e.Package)) {
			res.failed++
			res.failures = append(res.failures, name)
			fmt.Fprint(out, res.output[key])
		}
		return
	}
	switch e.Action {
	case "pass":
		res.passed++
		if e.Elapsed > 30 {
			res.slow = append(res.slow, fmt.Sprintf("%s took %.0f s", name, e.Elapsed))
		}
	case "fail":
		res.failed++
		res.failures = append(res.failures, name)
		fmt.Fprintf(out, "--- FAIL %s\n%s", name, res.output[key])
	case "skip":
		res.skips = append(res.skips, name+": "+reason(res.output[key]))
	}
}

// blamed reports whether a failed test of the package is counted already: the package's own failure is then no more
// than their sum.
func (res *result) blamed(pkg string) bool {
	for _, f := range res.failures {
		if strings.HasPrefix(f, pkg+" ") {
			return true
		}
	}
	return false
}

func short(pkg string) string {
	return strings.TrimPrefix(strings.TrimPrefix(pkg, "github.com/nacre-backup/nacre"), "/")
}

// reason finds the reason of a skip in a test's output: the line that t.Skip wrote.
func reason(output string) string {
	for _, line := range strings.Split(output, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "=== ") || strings.HasPrefix(line, "--- ") {
			continue
		}
		if _, text, ok := strings.Cut(line, ".go:"); ok {
			if _, text, ok = strings.Cut(text, ": "); ok {
				return text
			}
		}
		return line
	}
	return "no reason given"
}

// print writes the end of the report.
func (res *result) print(out io.Writer) {
	for _, s := range res.slow {
		fmt.Fprintln(out, "slow:", s)
	}
	for _, s := range res.skips {
		fmt.Fprintln(out, "skipped:", s)
	}
	for _, f := range res.failures {
		fmt.Fprintln(out, "failed:", f)
	}
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", res.passed, res.failed, len(res.skips))
}
