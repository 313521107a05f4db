// Command fuzz runs every fuzz target of the module for a while, one after the other:
//
//	go run ./tools/fuzz [--time 20s] [--match REGEXP]
//
// It exits with 1 if a target crashed; the go command then keeps the input under the package's testdata/fuzz.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

var target = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(f \*testing\.F\)`)

// onlyLate recognises a race in Go's fuzzing before 1.27 (golang.org/issue/75804): on a busy machine the end of the time
// can be reported as a failure of the target. A real one names its input, or the worker that hung or ended.
func onlyLate(out []byte) bool {
	return late.Match(out) && !bytes.Contains(out, []byte("Failing input")) && !bytes.Contains(out, []byte("fuzzing process"))
}

var late = regexp.MustCompile(`--- FAIL: Fuzz\w+ \([0-9.]+s\)\n +context deadline exceeded\nFAIL\n`)

func main() {
	length := flag.Duration("time", 20*time.Second, "how long each target runs")
	match := flag.String("match", ".", "only the targets that match this regular expression, as room/FuzzName")
	flag.Parse()
	only, err := regexp.Compile(*match)
	if err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
		os.Exit(2)
	}
	ran, failed := 0, 0
	err = filepath.WalkDir("internal", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range target.FindAllStringSubmatch(string(text), -1) {
			dir := filepath.ToSlash(filepath.Dir(path))
			if !only.MatchString(dir + "/" + m[1]) {
				continue
			}
			ran++
			cmd := exec.Command("go", "test", "-run=^$", "-fuzz=^"+m[1]+"$", "-fuzztime="+length.String(), "./"+dir)
			out, err := cmd.CombinedOutput()
			if err != nil && onlyLate(out) {
				fmt.Printf("ok   %s/%s (Go's own deadline passed while a worker was busy; no input failed)\n", dir, m[1])
				continue
			}
			if err != nil {
				failed++
				fmt.Printf("FAIL %s/%s: %v\n%s\n", dir, m[1], err, out)
				continue
			}
			fmt.Printf("ok   %s/%s\n", dir, m[1])
		}
		return nil
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
		os.Exit(1)
	}
	fmt.Printf("%d targets, %d failed\n", ran, failed)
	if failed > 0 {
		os.Exit(1)
	}
}
