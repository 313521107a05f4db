package secret

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/nacre-backup/nacre/internal/errs"
)

func TestOneLineEndIsNoPartOfASecret(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"a\n": "a", "a\r\n": "a", "a": "a", "a\n\n": "a\n", " a \n": " a ", "\n": "", "": ""} {
		if got := string(Trim([]byte(in))); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestASecretIsReadFromAFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "secret")
	write := func(s string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("open sesame\n")
	if got, err := FromFile(path, nil); err != nil || string(got) != "open sesame" {
		t.Errorf("got %q, %v", got, err)
	}
	for name, s := range map[string]string{"empty": "", "one line end": "\n", "too long": strings.Repeat("x", limit+1)} {
		write(s)
		if _, err := FromFile(path, nil); !errors.Is(err, errs.Usage) || strings.Contains(err.Error(), "xxx") {
			t.Errorf("%s: got %v, want a usage error", name, err)
		}
	}
	if _, err := FromFile(filepath.Join(dir, "missing"), nil); !errors.Is(err, errs.Usage) {
		t.Errorf("missing: got %v, want a usage error", err)
	}
	if got, err := FromFile("-", strings.NewReader("from a pipe\n")); err != nil || string(got) != "from a pipe" {
		t.Errorf("standard input: got %q, %v", got, err)
	}
}

func TestASecretIsReadFromACommand(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("needs a POSIX shell")
	}
	ctx := context.Background()
	var said bytes.Buffer
	if got, err := FromCommand(ctx, "echo 'two words'; echo talk >&2", &said); err != nil || string(got) != "two words" {
		t.Errorf("got %q, %v", got, err)
	}
	if said.String() != "talk\n" {
		t.Errorf("standard error: %q", said.String())
	}
	for name, line := range map[string]string{"it fails": "echo secret; exit 3", "it prints nothing": "true", "too much": "head -c 100000 /dev/zero"} {
		_, err := FromCommand(ctx, line, &said)
		if err == nil || strings.Contains(err.Error(), "secret;") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := FromCommand(ended, "sleep 100", &said); err == nil {
		t.Error("a command under a context that has ended succeeds")
	}
}

func TestNoTerminalIsAnError(t *testing.T) {
	t.Parallel()
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := FromTerminal(context.Background(), f, "Password: "); err == nil {
		t.Error("the null device answers")
	}
}
