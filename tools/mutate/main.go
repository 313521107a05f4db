// Command mutate proves that the tests of the core rooms notice when the code is wrong. It applies the hand-made
// mutations listed in testdata/mutations.txt one at a time, through the go command's overlay so that no file of the
// checkout is touched, and runs the tests of the mutation's package: a test must fail.
//
//	go run ./tools/mutate [--match REGEXP]
//
// A mutation is a block of lines: "# what it breaks", "file: PATH", "test: PACKAGE [-run REGEXP]", then the old text
// after lines "<<<<" and the new one after "====", closed by ">>>>". The old text must stand in the file exactly once.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// mutation is one block.
type mutation struct {
	what, file, old, new string
	test                 []string
}

func main() {
	match := flag.String("match", ".", "only the mutations whose first line matches this regular expression")
	list := flag.String("list", filepath.Join("tools", "mutate", "testdata", "mutations.txt"), "the list of mutations")
	flag.Parse()
	if err := run(*list, *match); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

func run(list, match string) error {
	only, err := regexp.Compile(match)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(list)
	if err != nil {
		return err
	}
	ms, err := parse(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", list, err)
	}
	ran, survived := 0, 0
	for _, m := range ms {
		if !only.MatchString(m.what) {
			continue
		}
		ran++
		killed, err := m.try()
		switch {
		case err != nil:
			fmt.Printf("BROKEN   %s: %v\n", m.what, err)
			survived++
		case killed:
			fmt.Printf("killed   %s\n", m.what)
		default:
			fmt.Printf("SURVIVED %s (%s)\n", m.what, m.file)
			survived++
		}
	}
	fmt.Printf("%d mutations, %d killed\n", ran, ran-survived)
	if survived > 0 {
		return fmt.Errorf("%d mutations were not killed", survived)
	}
	return nil
}

// parse reads the list.
//
//nolint:gocyclo // a case for each kind of line
func parse(text string) ([]mutation, error) {
	var ms []mutation
	var m mutation
	var into *string
	for n, line := range strings.Split(text, "\n") {
		switch {
		case line == "<<<<" && into != nil:
			return nil, fmt.Errorf("line %d: the mutation %q is not closed", n+1, m.what)
		case line == "<<<<":
			into = &m.old
		case line == "====" && into == &m.old:
			into = &m.new
		case line == ">>>>" && into == &m.new:
			if m.what == "" || m.file == "" || len(m.test) == 0 || m.old == "" {
				return nil, fmt.Errorf("line %d: an incomplete mutation ends here", n+1)
			}
			ms, m, into = append(ms, m), mutation{}, nil
		case into != nil:
			*into += line + "\n"
		case strings.HasPrefix(line, "# "):
			m.what = line[2:]
		case strings.HasPrefix(line, "file: "):
			m.file = line[6:]
		case strings.HasPrefix(line, "test: "):
			m.test = strings.Fields(line[6:])
		case line != "":
			return nil, fmt.Errorf("line %d: %q is not understood", n+1, line)
		}
	}
	if into != nil {
		return nil, fmt.Errorf("the last mutation is not closed")
	}
	return ms, nil
}

// try runs the tests on the mutated file and reports whether one of them failed. A mutation that does not compile is
// broken, not killed.
func (m mutation) try() (killed bool, err error) {
	src, err := os.ReadFile(m.file)
	if err != nil {
		return false, err
	}
	if n := strings.Count(string(src), m.old); n != 1 {
		return false, fmt.Errorf("the old text stands %d times in %s", n, m.file)
	}
	tmp, err := os.MkdirTemp("", "nacre-mutate-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(tmp)
	mutated := filepath.Join(tmp, filepath.Base(m.file))
	if err := os.WriteFile(mutated, []byte(strings.Replace(string(src), m.old, m.new, 1)), 0o600); err != nil {
		return false, err
	}
	abs, err := filepath.Abs(m.file)
	if err != nil {
		return false, err
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{abs: mutated}})
	if err != nil {
		return false, err
	}
	path := filepath.Join(tmp, "overlay.json")
	if err := os.WriteFile(path, overlay, 0o600); err != nil {
		return false, err
	}
	if out, err := exec.Command("go", "build", "-overlay", path, m.test[0]).CombinedOutput(); err != nil {
		return false, fmt.Errorf("it does not compile: %s", out)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	args := append([]string{"test", "-overlay", path, "-count=1", "-failfast", "-timeout=3m"}, m.test...)
	return exec.CommandContext(ctx, "go", args...).Run() != nil, nil
}
