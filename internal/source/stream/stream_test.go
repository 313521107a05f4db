package stream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/source"
	"github.com/nacre-backup/nacre/internal/source/sourcetest"
	"github.com/nacre-backup/nacre/internal/tree"
)

// openOnly lists a source, checks that its one file is the last entry, and opens it.
func openOnly(t *testing.T, o Options) (source.File, *source.Item) {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	var last *source.Item
	for it, err := range s.Entries(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		last = s.Retain(it)
	}
	if last.Entry.Type != tree.File {
		t.Fatalf("the last entry is a %v, want a file", last.Entry.Type)
	}
	f, err := s.Open(t.Context(), last)
	if err != nil {
		t.Fatal(err)
	}
	return f, last
}

func TestAStreamStandsBelowItsOwnTop(t *testing.T) {
	t.Parallel()
	f, it := openOnly(t, Options{Name: "db/dump.sql", Reader: strings.NewReader("hello")})
	if got := string(tree.JoinPath(nil, it.Dir, it.Entry.Name)); got != "stdin/db/dump.sql" {
		t.Fatalf("path %q", got)
	}
	got, err := io.ReadAll(f.(io.Reader))
	if err != nil || string(got) != "hello" {
		t.Fatalf("read %q, %v", got, err)
	}
	var e tree.Entry
	if err := f.Stat(&e); err != nil || e.Size != 5 {
		t.Fatalf("size %d, %v", e.Size, err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func needsShell(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("needs sh")
	}
}

func TestACommandThatEndsWellIsReadToItsEnd(t *testing.T) {
	t.Parallel()
	needsShell(t)
	var said bytes.Buffer
	f, _ := openOnly(t, Options{Command: []string{"sh", "-c", "echo words; echo aside >&2"}, Stderr: &said})
	got, err := io.ReadAll(f.(io.Reader))
	if err != nil || string(got) != "words\n" {
		t.Fatalf("read %q, %v", got, err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if said.String() != "aside\n" {
		t.Fatalf("the command said %q", said.String())
	}
}

func TestACommandThatFailsEndsTheStreamWithItsStatus(t *testing.T) {
	t.Parallel()
	needsShell(t)
	f, _ := openOnly(t, Options{Command: []string{"sh", "-c", "echo half; echo no such database >&2; exit 7"}})
	got, err := io.ReadAll(f.(io.Reader))
	if string(got) != "half\n" {
		t.Fatalf("read %q", got)
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Fatalf("error %v, want exit status 7", err)
	}
	if !strings.Contains(err.Error(), "no such database") {
		t.Fatalf("error %q does not say what the command said", err)
	}
	if again := f.Close(); !errors.As(again, &exit) {
		t.Fatalf("close: %v, want the command's error", again)
	}
}

func TestACommandThatIsNotReadToItsEndIsKilledWithItsChildren(t *testing.T) {
	t.Parallel()
	needsShell(t)
	f, _ := openOnly(t, Options{Command: []string{"sh", "-c", "yes | cat"}})
	if _, err := io.ReadFull(f.(io.Reader), make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err == nil {
		t.Fatal("no error for a command that was killed")
	}
}

func TestTheEndOfTheContextEndsTheCommand(t *testing.T) {
	t.Parallel()
	needsShell(t)
	ctx, cancel := context.WithCancel(t.Context())
	s, err := New(Options{Command: []string{"sh", "-c", "sleep 1000"}})
	if err != nil {
		t.Fatal(err)
	}
	f, err := s.Open(ctx, &source.Item{Entry: &tree.Entry{Type: tree.File}})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.ReadAll(f.(io.Reader)); err == nil {
		t.Fatal("no error")
	}
	_ = f.Close()
}

func TestACommandThatDoesNotExistIsAnErrorOfOpen(t *testing.T) {
	t.Parallel()
	s, err := New(Options{Command: []string{"no-such-program-anywhere"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(t.Context(), &source.Item{Entry: &tree.Entry{Type: tree.File}}); !errors.Is(err, exec.ErrNotFound) {
		t.Fatalf("error %v", err)
	}
}

func TestOptionsAreRefused(t *testing.T) {
	t.Parallel()
	in := strings.NewReader("")
	for name, o := range map[string]Options{
		"neither reader nor command": {},
		"both":                       {Reader: in, Command: []string{"x"}},
		"an empty command":           {Command: []string{""}},
		"a name that climbs":         {Reader: in, Name: "../x"},
		"a name that is a directory": {Reader: in, Name: "x/"},
		"a name of slashes":          {Reader: in, Name: "//"},
		"a name with a NUL byte":     {Reader: in, Name: "a\x00b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := New(o); !errors.Is(err, errs.Usage) {
				t.Fatalf("error %v, want one of usage", err)
			}
		})
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	sourcetest.Run(t, func(t *testing.T) sourcetest.Fixture {
		s, err := New(Options{Name: "a/b", Reader: strings.NewReader("hello")})
		if err != nil {
			t.Fatal(err)
		}
		return sourcetest.Fixture{Source: s, Content: map[string][]byte{"stdin/a/b": []byte("hello")}, Stream: true}
	})
}
