package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/event"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/tree"
)

func TestErrorsHaveTheirExitCodes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		err  error
		code int
		json string
	}{
		"plain":            {errors.New("x"), 1, "failed"},
		"usage":            {errs.New(errs.Usage, "x"), 2, "usage"},
		"no repository":    {errs.New(errs.NoRepository, "x"), 10, "no_repository"},
		"wrong key":        {fmt.Errorf("open: %w", errs.New(errs.WrongKey, "x")), 12, "wrong_key"},
		"denied":           {errs.New(errs.Denied, "x"), 13, "denied"},
		"unreachable":      {errs.New(errs.Unreachable, "x"), 14, "unreachable"},
		"temporary":        {errs.New(errs.Temporary, "x"), 14, "temporary"},
		"full":             {errs.New(errs.Full, "x"), 15, "full"},
		"newer":            {errs.As(errNewerFormat, errs.New(errs.Unsupported, "x")), 16, "newer_format"},
		"damaged":          {errs.New(errs.Corrupt, "x"), 1, "damaged"},
		"full and damaged": {errors.Join(errs.New(errs.Corrupt, "x"), errs.New(errs.Full, "y")), 15, "full"},
	} {
		if code, json, _ := codeOf(tt.err); code != tt.code || json != tt.json {
			t.Errorf("%s: got %d, %s", name, code, json)
		}
	}
	for _, c := range codes {
		if !strings.Contains(exitCodesText, fmt.Sprintf("  %d  ", c.code)) {
			t.Errorf("help exit-codes does not tell of %d", c.code)
		}
	}
}

func TestNamesHaveFieldsOfStrftime(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 1, 14, 5, 6, 0, time.UTC)
	for pattern, want := range map[string]string{
		"": "", "plain": "plain", "home-%Y-%m-%d": "home-2026-11-01", "%H:%M": "14:05", "100%%": "100%", "été": "été",
	} {
		if got, err := snapshotName(pattern, at); err != nil || got != want {
			t.Errorf("%q: got %q, %v", pattern, got, err)
		}
	}
	for _, pattern := range []string{"latest", "@x", "-x", "a/b", "a~1", " a", "a ", "a\nb", "a\xff", strings.Repeat("x", 256), "%!"} {
		if got, err := snapshotName(pattern, at); !errors.Is(err, errs.Usage) {
			t.Errorf("%q: got %q, %v", pattern, got, err)
		}
	}
}

func TestQuotedWordsAreReadBackByAShell(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain": "plain", "/a/b-c_d.e": "/a/b-c_d.e", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "$HOME": "'$HOME'", "~x": "'~x'", "*": "'*'",
	} {
		if got := shellQuote(in); runtime.GOOS != "windows" && got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

func TestTheProgramIsNamedAsItCanBeCalledAgain(t *testing.T) {
	t.Parallel()
	for called, want := range map[string]string{
		"nacre": "nacre", "/usr/bin/nacre": "/usr/bin/nacre", "./my nacre": "'./my nacre'",
		"/tmp/go-build123/b001/exe/nacre": "go run github.com/nacre-backup/nacre/cmd/nacre",
		"/cache/c7/c7467ecc8d47ab0e6b9976f33bde97df6a1ea360329cbf0887e1893daf6c5940-d/nacre": "go run github.com/nacre-backup/nacre/cmd/nacre",
	} {
		a := &app{p: Process{Args: []string{called}}}
		if got := a.program(); runtime.GOOS != "windows" && got != want {
			t.Errorf("%s: got %s, want %s", called, got, want)
		}
	}
}

func TestPathsOfTheTree(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"": "", "/": "", "/a/b/": "a/b", "a//./b": "a/b", "a b": "a b"} {
		if got, err := treePath(in); err != nil || string(got) != want {
			t.Errorf("%q: got %q, %v", in, got, err)
		}
	}
	if _, err := treePath("/a/../b"); !errors.Is(err, errs.Usage) {
		t.Errorf("a path with ..: got %v", err)
	}
	for in, want := range map[string]string{"": "/", "a/b": "/a/b", "C:/x": "C:/x", "C:": "C:"} {
		if got := string(shown([]byte(in))); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestNoNamePlaysWithTheTerminal(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SliceOf(rapid.Byte()).Draw(t, "name")
		for _, s := range []string{printable(p), oneLine(string(p)), fit(printable(p), 40)} {
			for _, r := range s {
				if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x202e {
					if s == oneLine(string(p)) && r == 0x202e {
						continue // only names are quoted for this
					}
					t.Fatalf("%q is shown as %q", p, s)
				}
			}
		}
	})
	if got := printable([]byte("a\u202eb")); got != `"a\u202eb"` {
		t.Errorf("a name that turns the line around is shown as %s", got)
	}
}

func TestLongLinesAreCutOutOfTheirMiddle(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in    string
		width int
		want  string
	}{
		{"short", 10, "short"}, {"/home/someone/documents/letter.txt", 20, "/home/...letter.txt"}, {"漢字漢字漢字漢字漢字", 12, "漢...漢字"},
	} {
		got := fit(tt.in, tt.width)
		cellsOf := 0
		for _, r := range got {
			cellsOf += cells(r)
		}
		if cellsOf > tt.width || !strings.Contains(got, "...") && got != tt.in {
			t.Errorf("%q in %d: got %q", tt.in, tt.width, got)
		}
	}
}

func TestModesLookLikeThoseOfLs(t *testing.T) {
	t.Parallel()
	for want, e := range map[string]tree.Entry{
		"-rw-r--r--": {Type: tree.File, Mode: 0o644}, "drwxr-xr-x": {Type: tree.Dir, Mode: 0o755}, "-rwsr-sr-t": {Type: tree.File, Mode: 0o7755},
		"-rwSr-Sr-T": {Type: tree.File, Mode: 0o7644}, "l---------": {Type: tree.Symlink}, "brw-rw----": {Type: tree.BlockDevice, Mode: 0o660},
	} {
		if got := modeString(&e); got != want {
			t.Errorf("%o: got %s, want %s", e.Mode, got, want)
		}
	}
}

func TestTheRemainingTimeIsToldOnlyWhenItIsKnown(t *testing.T) {
	t.Parallel()
	start := time.Unix(1000, 0)
	c := &event.Counters{}
	p := &progress{counters: c, start: start}
	c.Bytes.Store(100)
	c.TotalBytes.Store(1000)
	p.samples = []sample{{start, 0}, {start.Add(10 * time.Second), 100}}
	now := start.Add(10 * time.Second)
	if d, ok := p.remaining(now); ok {
		t.Errorf("the total still grows, but %v are left", d)
	}
	c.TotalKnown.Store(true)
	if d, ok := p.remaining(now); !ok || d != 90*time.Second {
		t.Errorf("got %v, %v, want 90 s", d, ok)
	}
	if got := p.line(now); !strings.Contains(got, "10.0%") || !strings.Contains(got, "1:30 left") {
		t.Errorf("the line is %q", got)
	}
	p.samples = []sample{{now, 100}, {now.Add(time.Second), 100}}
	if d, ok := p.remaining(now.Add(time.Second)); ok {
		t.Errorf("nothing moves, but %v are left", d)
	}
}

func TestThePendingKeyOfAnInterruptedInitIsFound(t *testing.T) {
	t.Parallel()
	config := t.TempDir()
	a := &app{p: Process{Env: func(name string) (string, bool) { return map[string]string{"XDG_CONFIG_HOME": config}[name], true }}}
	dir := filepath.Join(config, "nacre")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	rid := id.Repository{1}
	pendingPath := filepath.Join(dir, "new-0011.key")
	if err := writeNew(pendingPath, []byte("key")); err != nil {
		t.Fatal(err)
	}
	if err := writeNew(pendingPath, []byte("other")); err == nil {
		t.Error("a key was overwritten")
	}
	if got := a.keyfiles(rid); len(got) != 1 || got[0] != pendingPath {
		t.Fatalf("found %v", got)
	}
	a.settleKeyfile(pendingPath, rid)
	if got := a.keyfiles(rid); len(got) != 1 || filepath.Base(got[0]) != rid.String()+".key" {
		t.Errorf("found %v", got)
	}
}

func TestSecretsAreKeptFromOtherPrograms(t *testing.T) {
	t.Parallel()
	got := withoutSecrets([]string{"HOME=/x", "NACRE_PASSWORD=p", "NACRE_PASSWORD_FILE=f", "NACRE_KEYFILE=k", "NACRE_REPOSITORY=r"})
	if strings.Join(got, " ") != "HOME=/x NACRE_REPOSITORY=r" {
		t.Errorf("kept %v", got)
	}
}

func TestAnInterruptedInputIsNotWhole(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("needs poll")
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	stop := make(chan struct{})
	in := &stdinReader{f: r, clock: instant{func() {}}, stop: stop}
	close(stop)
	if _, err := in.Read(make([]byte, 10)); !errors.Is(err, errInterrupted) {
		t.Errorf("a silent pipe: got %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	// The end of the pipe is seen before the signal: the pause at the end lets it arrive.
	late := make(chan struct{})
	in = &stdinReader{f: r, stop: late, clock: instant{func() { close(late) }}}
	if _, err := in.Read(make([]byte, 10)); !errors.Is(err, errInterrupted) {
		t.Errorf("an input that ended with its writer: got %v", err)
	}
	in = &stdinReader{f: r, stop: make(chan struct{}), clock: instant{func() {}}}
	if _, err := in.Read(make([]byte, 10)); !errors.Is(err, io.EOF) {
		t.Errorf("a whole input: got %v", err)
	}
}

// instant is a clock that does something instead of waiting.
type instant struct{ do func() }

func (instant) Now() time.Time { return time.Unix(0, 0) }

func (c instant) Sleep(ctx context.Context, _ time.Duration) error {
	c.do()
	return ctx.Err()
}
