package faults

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nacre-backup/nacre/internal/testkit/program"
)

func TestMain(m *testing.M) { os.Exit(program.Main(m)) }

// box is a place of its own for one test: homes, a repository, sources and targets. Its repository opens with a
// generated key, so that no run spends its time on a password.
type box struct {
	dir  string
	repo string
	home string // of this machine's user: caches, state, the key
}

func newBox(t *testing.T) *box {
	t.Helper()
	dir := t.TempDir()
	b := &box{dir: dir, repo: filepath.Join(dir, "repo"), home: filepath.Join(dir, "home")}
	must(t, os.Mkdir(b.home, 0o700))
	return b
}

// initialised is a box with an empty repository.
func initialised(t *testing.T) *box {
	t.Helper()
	b := newBox(t)
	b.nacre(t, "init", "--encryption", "key")
	return b
}

func (b *box) path(elem ...string) string { return filepath.Join(append([]string{b.dir}, elem...)...) }

func (b *box) env() []string { return program.Env("HOME="+b.home, "NACRE_REPOSITORY="+b.repo) }

// result is how a run ended.
type result struct {
	args     string
	out, err string
	code     int // -1: a signal ended it
	took     time.Duration
}

func (r result) String() string {
	return fmt.Sprintf("nacre %s: exit code %d\n%s%s", r.args, r.code, r.out, r.err)
}

// said is everything that a run wrote.
func (r result) said() string { return r.out + r.err }

// process is a run under way.
type process struct {
	cmd      *exec.Cmd
	out, err bytes.Buffer
	begin    time.Time
	ended    chan struct{} // closed once wait may be called without waiting
	waitErr  error
}

// limit is when a run is taken to hang. It is far beyond what any run needs on the slowest machine.
const limit = 5 * time.Minute

// start starts the program.
func (b *box) start(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(program.Path(), args...), begin: time.Now(), ended: make(chan struct{})}
	p.cmd.Env, p.cmd.Dir = b.env(), b.dir
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.err
	must(t, p.cmd.Start())
	hung := time.AfterFunc(limit, func() { _ = p.cmd.Process.Kill() })
	go func() {
		defer close(p.ended)
		p.waitErr = p.cmd.Wait()
		hung.Stop()
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it has ended, unless the test failed
		<-p.ended
	})
	return p
}

// running says whether the run goes on.
func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// wait returns how the run ended.
func (p *process) wait(t *testing.T) result {
	t.Helper()
	<-p.ended
	var exit *exec.ExitError
	if p.waitErr != nil && !errors.As(p.waitErr, &exit) {
		t.Fatalf("nacre %s: %v", strings.Join(p.cmd.Args[1:], " "), p.waitErr)
	}
	took := time.Since(p.begin)
	r := result{strings.Join(p.cmd.Args[1:], " "), p.out.String(), p.err.String(), p.cmd.ProcessState.ExitCode(), took}
	if took >= limit {
		t.Fatalf("it hung: %v", r)
	}
	return r
}

// untilPacking waits until the run has begun to fill a pack, or has ended.
func (b *box) untilPacking(p *process) {
	for p.running() {
		temps, _ := os.ReadDir(filepath.Join(b.repo, "+tmp")) // they come and go
		for _, f := range temps {
			if info, err := f.Info(); err == nil && info.Size() > 1<<20 {
				return
			}
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// try runs the program.
func (b *box) try(t *testing.T, args ...string) result {
	t.Helper()
	return b.start(t, args...).wait(t)
}

// nacre runs the program, which must succeed.
func (b *box) nacre(t *testing.T, args ...string) string {
	t.Helper()
	r := b.try(t, args...)
	if r.code != 0 {
		t.Fatal(r)
	}
	return r.out
}

// fails runs the program, which must end with the code and say each of the words; a hint is always among them.
func (b *box) fails(t *testing.T, code int, words []string, args ...string) result {
	t.Helper()
	r := b.try(t, args...)
	if r.code != code {
		t.Fatalf("want exit code %d: %v", code, r)
	}
	for _, w := range append(words, "hint:") {
		if !strings.Contains(r.said(), w) {
			t.Errorf("it does not say %q: %v", w, r)
		}
	}
	return r
}

// summary is what the last line of a backup with --json says.
type summary struct {
	Type     string
	Snapshot struct{ ID, Parent string }
	Stats    struct {
		Files, New, Changed, Unchanged, Moved, Failed uint64
		Bytes                                         uint64
		Read                                          int64 `json:"read_bytes"`
		Added                                         int64 `json:"added_bytes"`
		Stored                                        int64 `json:"stored_bytes"`
	}
	Checkpoint   bool
	ResumedFrom  string `json:"resumed_from"`
	AdoptedPacks int    `json:"adopted_packs"`
	JournalFiles int64  `json:"journal_files"`
	NewTreePages int    `json:"new_tree_pages"`
	NewBlobs     int    `json:"new_blobs"`
	DataPacks    int    `json:"data_packs"`
	MetaPacks    int    `json:"meta_packs"`

	read map[string]int64 // by path: bytes read of files that were read, with -v
	said []string         // notes and warnings
}

// parseSummary reads what a backup with --json wrote.
func parseSummary(t *testing.T, out string) summary {
	t.Helper()
	s := summary{read: map[string]int64{}}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	for _, l := range lines {
		var e struct {
			Type, Path, Message string
			Bytes               int64
		}
		if err := json.Unmarshal([]byte(l), &e); err != nil {
			t.Fatalf("no JSON: %v: %s", err, l)
		}
		if e.Type == "entry" && e.Bytes > 0 {
			s.read[e.Path] = e.Bytes
		}
		if e.Message != "" {
			s.said = append(s.said, e.Message)
		}
	}
	last := lines[len(lines)-1]
	if err := json.Unmarshal([]byte(last), &s); err != nil || s.Type != "summary" {
		t.Fatalf("the last line is no summary: %v: %s", err, last)
	}
	return s
}

// backup makes a snapshot and returns its summary.
func (b *box) backup(t *testing.T, args ...string) summary {
	t.Helper()
	return parseSummary(t, b.nacre(t, append([]string{"backup", "--json"}, args...)...))
}

// snapshots lists the ids of the snapshots.
func (b *box) snapshots(t *testing.T) (ids []string) {
	t.Helper()
	for _, l := range strings.Split(strings.TrimSpace(b.nacre(t, "snapshots", "--json")), "\n") {
		var e struct{ Type, ID string }
		must(t, json.Unmarshal([]byte(l), &e))
		if e.Type == "snapshot" {
			ids = append(ids, e.ID)
		}
	}
	return ids
}

// restores restores what a snapshot has of a folder and compares it with the folder want.
func (b *box) restores(t *testing.T, snapshot, folder, want string) {
	t.Helper()
	target := b.path("restored")
	b.nacre(t, "restore", snapshot+":"+folder, "--target", target)
	for _, d := range differences(t, want, target) {
		t.Errorf("snapshot %s: %s", snapshot, d)
	}
	must(t, os.RemoveAll(target))
}

// differences compares two folders: names, types and content.
func differences(t *testing.T, want, got string) (list []string) {
	t.Helper()
	a, b := listing(t, want), listing(t, got)
	for rel, w := range a {
		g, ok := b[rel]
		switch {
		case !ok:
			list = append(list, rel+" is missing")
		case w.IsDir() != g.IsDir() || w.Type() != g.Type():
			list = append(list, rel+" is of another type")
		case w.Type().IsRegular() && !sameContent(t, filepath.Join(want, rel), filepath.Join(got, rel)):
			list = append(list, rel+" has other bytes")
		}
	}
	for rel := range b {
		if _, ok := a[rel]; !ok {
			list = append(list, rel+" is too many")
		}
	}
	slices.Sort(list)
	return list
}

func listing(t *testing.T, root string) map[string]fs.DirEntry {
	t.Helper()
	m := map[string]fs.DirEntry{}
	must(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		m[rel] = d
		return err
	}))
	return m
}

func sameContent(t *testing.T, a, b string) bool {
	t.Helper()
	x, err := os.ReadFile(a)
	must(t, err)
	y, err := os.ReadFile(b)
	must(t, err)
	return bytes.Equal(x, y)
}

// objects lists the objects of the repository with their sizes.
func (b *box) objects(t *testing.T, below ...string) map[string]int64 {
	t.Helper()
	m := map[string]int64{}
	root := filepath.Join(append([]string{b.repo}, below...)...)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(b.repo, path)
		m[filepath.ToSlash(rel)] = info.Size()
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return m
}

// nothingHalfDone says what a run that has ended must not leave: temporary files and open sessions.
func (b *box) nothingHalfDone(t *testing.T) {
	t.Helper()
	for o := range b.objects(t, "+tmp") {
		t.Errorf("the temporary file %s is left", o)
	}
	for o := range b.objects(t, "sessions") {
		if _, err := os.Stat(filepath.Join(b.repo, "fates", strings.TrimPrefix(o, "sessions/"))); err != nil {
			t.Errorf("the session %s is left open: %v", o, err)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
