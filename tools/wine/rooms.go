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
	"slices"
	"strings"
	"time"
)

// roomLimit is the time for the tests of one room; they take seconds.
const roomLimit = 100 * time.Second

// room is a package with tests.
type room struct {
	path string // of the package
	name string // under internal/, with slashes
	dir  string

	rapid bool // has tests of properties
}

// find lists all packages that have tests on Windows.
func find(ctx context.Context, packages []string) ([]room, error) {
	list, err := goWindows(ctx, append([]string{"list", "-json=ImportPath,Dir,TestGoFiles,XTestGoFiles,TestImports,XTestImports"}, packages...))
	if err != nil {
		return nil, err
	}
	var rooms []room
	for d := json.NewDecoder(bytes.NewReader(list)); ; {
		var p struct {
			ImportPath, Dir           string
			TestGoFiles, XTestGoFiles []string
			TestImports, XTestImports []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return rooms, nil
		} else if err != nil {
			return nil, fmt.Errorf("packages: %w", err)
		}
		if len(p.TestGoFiles)+len(p.XTestGoFiles) > 0 {
			_, name, _ := strings.Cut(p.ImportPath, "/internal/")
			rooms = append(rooms, room{
				path: p.ImportPath, name: name, dir: p.Dir,
				rapid: slices.Contains(append(p.TestImports, p.XTestImports...), "pgregory.net/rapid"),
			})
		}
	}
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

// result is how the tests of a room ended.
type result struct {
	verdict string // ok, FAIL or n/a
	text    string
}

// test builds and runs the tests of a room.
func (w *prefix) test(ctx context.Context, r room, changes string, verbose bool) result {
	if reason := wholeRoom(r.name); reason != "" {
		return result{"n/a", reason}
	}
	binary := filepath.Join(w.dir, strings.ReplaceAll(r.name, "/", "-")+".test.exe")
	defer os.Remove(binary) // all together are large; the folder goes at the end anyway
	_, err := goWindows(ctx, []string{"test", "-c", "-overlay", changes, "-o", binary, r.path})
	if ctx.Err() != nil {
		return result{"n/a", "the time was over before it was built"}
	}
	if err != nil {
		return result{"FAIL", err.Error()}
	}
	args := []string{"-test.short", "-test.v", "-test.timeout=" + roomLimit.String()}
	if r.rapid {
		args = append(args, "-rapid.nofailfile") // it would lie among the sources
	}
	if skip := skips(r.name); skip != "" {
		args = append(args, "-test.skip="+skip)
	}
	begin := time.Now()
	out, err := w.run(ctx, r.dir, binary, args...)
	took := time.Since(begin).Round(time.Second)
	text := string(out)
	passed, skipped := strings.Count("\n"+text, "\n--- PASS: "), strings.Count("\n"+text, "\n--- SKIP: ")
	switch {
	case ctx.Err() != nil:
		return result{"n/a", "the time was over"}
	case strings.Contains(text, "panic: test timed out after") && !strings.Contains("\n"+text, "\n--- FAIL: "):
		return result{"n/a", fmt.Sprintf("not done after %v, which may be this machine's doing; %d tests passed\n%s", took, passed, running(text))}
	case err != nil || !strings.HasSuffix(text, "PASS\n") || passed == 0:
		return result{"FAIL", fmt.Sprintf("%v after %v\n%s", err, took, complaint(text))}
	}
	if verbose {
		fmt.Print(text)
	}
	said := fmt.Sprintf("%3d tests passed, %d skipped, %v", passed, skipped, took)
	for _, e := range table {
		if e.room == r.name {
			said += fmt.Sprintf("\n      not possible: %s: %s", e.test, e.reason)
		}
	}
	return result{"ok", said}
}

// running returns the names of the tests that were running when the time was over.
func running(text string) string {
	_, list, _ := strings.Cut(text, "running tests:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	return list
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
		if len(line) > 400 {
			line = line[:400] + "..."
		}
		kept = append(kept, line)
	}
	if text = strings.Join(kept, "\n"); len(text) > most {
		text = text[:most/2] + "\n[...]\n" + text[len(text)-most/2:]
	}
	return text
}
