// Package e2e is about the whole program: it runs the built binary on real files and compares with the tools that
// people trust.
package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nacre-backup/nacre/internal/testkit/program"
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	if os.Getenv("NACRE_TEST_CORPUS") != "1" && flag.Lookup("test.skip").Value.String() == "" {
		// Not asked for is not the same as skipped: the tests on the large corpus are then not among those that run.
		if err := flag.Set("test.skip", "^TestCorpus"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return program.Main(m)
}

// box is a place of its own for one test: a home, a repository, sources and targets.
type box struct {
	dir string
	env []string
}

func newBox(t *testing.T) *box {
	t.Helper()
	b := &box{dir: t.TempDir()}
	b.env = program.Env("HOME="+b.path("home"), "NACRE_REPOSITORY="+b.path("repo"), "NACRE_PASSWORD=a long password")
	if err := os.Mkdir(b.path("home"), 0o700); err != nil {
		t.Fatal(err)
	}
	b.nacre(t, "init")
	return b
}

func (b *box) path(elem ...string) string { return filepath.Join(append([]string{b.dir}, elem...)...) }

// result is how a run ended.
type result struct {
	out, err string
	code     int
	took     time.Duration
}

// try runs the program.
func (b *box) try(t *testing.T, args ...string) result {
	t.Helper()
	cmd := exec.Command(program.Path(), args...)
	cmd.Env, cmd.Dir = b.env, b.dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	begin := time.Now()
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("nacre %s: %v", strings.Join(args, " "), err)
	}
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode(), time.Since(begin)}
}

// nacre runs the program, which must succeed.
func (b *box) nacre(t *testing.T, args ...string) string {
	t.Helper()
	r := b.try(t, args...)
	if r.code != 0 {
		t.Fatalf("nacre %s: exit code %d\n%s%s", strings.Join(args, " "), r.code, clip(r.out), clip(r.err))
	}
	t.Logf("nacre %s: %v", args[0], r.took.Round(time.Millisecond))
	return r.out
}

// summary is what the last line of a backup with --json says.
type summary struct {
	Type     string
	Snapshot struct{ ID, Parent string }
	Stats    struct {
		Files, Directories, New, Changed, Unchanged, Moved, Failed, Removed uint64
		ReadBytes                                                           uint64 `json:"read_bytes"`
		StoredBytes                                                         uint64 `json:"stored_bytes"`
	}
	NewTreePages int `json:"new_tree_pages"`
	NewBlobs     int `json:"new_blobs"`
	DataPacks    int `json:"data_packs"`
	MetaPacks    int `json:"meta_packs"`
}

// backup makes a snapshot and returns its summary.
func (b *box) backup(t *testing.T, args ...string) summary {
	t.Helper()
	out := strings.TrimSpace(b.nacre(t, append([]string{"backup", "--json"}, args...)...))
	last := out[strings.LastIndexByte(out, '\n')+1:]
	var s summary
	if err := json.Unmarshal([]byte(last), &s); err != nil || s.Type != "summary" {
		t.Fatalf("the last line is no summary: %v: %s", err, last)
	}
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// needs skips the test where a program is missing, and names the Debian package that has it.
func needs(t *testing.T, program, pkg string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("needs %s (apt)", pkg)
	}
}

// tool runs a program in a directory and returns what it prints.
func tool(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, errs.String())
	}
	return string(out)
}

// clip keeps a report short.
func clip(s string) string {
	if len(s) > 3000 {
		return s[:3000] + "\n..."
	}
	return s
}
