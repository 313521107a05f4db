package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// roomLimit is the time for the tests of one room; they take seconds.
const roomLimit = 100 * time.Second

// room is a package with tests, built for Windows.
type room struct {
	name   string // under internal/, with slashes
	dir    string
	binary string
}

// build makes the test binaries of all packages that have tests on Windows.
func build(ctx context.Context, tmp string, packages []string) ([]room, error) {
	list, err := goWindows(ctx, append([]string{"list", "-json=ImportPath,Dir,TestGoFiles,XTestGoFiles"}, packages...))
	if err != nil {
		return nil, err
	}
	changes, err := overlay(ctx, tmp)
	if err != nil {
		return nil, &impossibleError{err.Error()}
	}
	var rooms []room
	for d := json.NewDecoder(bytes.NewReader(list)); ; {
		var p struct {
			ImportPath, Dir           string
			TestGoFiles, XTestGoFiles []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("packages: %w", err)
		}
		if len(p.TestGoFiles)+len(p.XTestGoFiles) == 0 {
			continue
		}
		_, name, _ := strings.Cut(p.ImportPath, "/internal/")
		r := room{name: name, dir: p.Dir, binary: filepath.Join(tmp, strings.ReplaceAll(name, "/", "-")+".test.exe")}
		if wholeRoom(name) == "" {
			if _, err := goWindows(ctx, []string{"test", "-c", "-overlay", changes, "-o", r.binary, p.ImportPath}); err != nil {
				return nil, err
			}
		}
		rooms = append(rooms, r)
	}
	return rooms, nil
}

// goWindows runs the go command for Windows and returns what it prints.
func goWindows(ctx context.Context, args []string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	cmd.WaitDelay = 5 * time.Second
	var talk bytes.Buffer
	cmd.Stderr = &talk
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return nil, &impossibleError{"the time was over before everything was built"}
	}
	if err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, talk.Bytes())
	}
	return out, nil
}

// test runs the tests of a room and prints how they ended.
func (w *prefix) test(ctx context.Context, r room, verbose bool, s *sums) {
	if reason := wholeRoom(r.name); reason != "" {
		s.impossible++
		fmt.Printf("n/a   %-18s %s\n", r.name, reason)
		return
	}
	if ctx.Err() != nil {
		s.impossible++
		fmt.Printf("n/a   %-18s the time was over\n", r.name)
		return
	}
	args := []string{"-test.short", "-test.v", "-test.timeout=" + roomLimit.String()}
	if skip := skips(r.name); skip != "" {
		args = append(args, "-test.skip="+skip)
	}
	begin := time.Now()
	out, err := w.run(ctx, r.dir, r.binary, args...)
	text := string(out)
	if verbose {
		fmt.Print(text)
	}
	took := time.Since(begin).Round(time.Second)
	passed, skipped := strings.Count("\n"+text, "\n--- PASS: "), strings.Count("\n"+text, "\n--- SKIP: ")
	switch {
	case ctx.Err() != nil:
		s.impossible++
		fmt.Printf("n/a   %-18s the time was over\n", r.name)
	case err != nil || !strings.HasSuffix(text, "PASS\n") || passed == 0:
		s.failed++
		fmt.Printf("FAIL  %-18s %v after %v\n%s", r.name, err, took, complaint(text))
	default:
		s.passed++
		fmt.Printf("ok    %-18s %3d tests passed, %d skipped, %v\n", r.name, passed, skipped, took)
		for _, e := range table {
			if e.room == r.name {
				fmt.Printf("      not possible: %s: %s\n", e.test, e.reason)
			}
		}
	}
}

// complaint returns what a failed room printed, without the tests that passed and not without end.
func complaint(text string) string {
	const most = 16 << 10
	var kept []string
	for _, line := range strings.Split(text, "\n") {
		word := strings.TrimSpace(line)
		if strings.HasPrefix(word, "--- PASS") || strings.HasPrefix(word, "--- SKIP") || strings.HasPrefix(word, "=== ") {
			continue
		}
		kept = append(kept, line)
	}
	if text = strings.Join(kept, "\n"); len(text) > most {
		text = text[:most/2] + "\n[...]\n" + text[len(text)-most/2:]
	}
	return text
}
