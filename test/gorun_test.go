package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestTheRestoreCommandOfGoRunWorks runs the README's first command twice (the second time the program comes from the
// go command's cache) and then what each says at its end.
func TestTheRestoreCommandOfGoRunWorks(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("needs a POSIX shell")
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	home, work := t.TempDir(), t.TempDir()
	docs := filepath.Join(home, "Documents")
	if err := os.Mkdir(docs, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(docs, "letter"), []byte("Dear reader,\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		out := inCheckout(t, root, home, `go run ./cmd/nacre backup "$HOME/Documents"`)
		lines := strings.Split(strings.TrimSpace(out), "\n")
		last := strings.TrimSpace(lines[len(lines)-1])
		if !strings.HasPrefix(last, "go run ./cmd/nacre restore ") {
			t.Fatalf("the last line is %q", last)
		}
		id := strings.Fields(last)[4]
		// The target is relative to the checkout, which a test leaves as it is.
		command := strings.Replace(last, "./restored-"+id, filepath.Join(work, id), 1)
		inCheckout(t, root, home, command)
		b, err := os.ReadFile(filepath.Join(work, id, docs, "letter"))
		if err != nil || string(b) != "Dear reader,\n" {
			t.Errorf("restored %q, %v", b, err)
		}
	}
}

// inCheckout runs a line in the checkout with an empty home and returns its standard output.
func inCheckout(t *testing.T, root, home, line string) string {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", line)
	cmd.Dir = root
	cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "GOFLAGS=" + os.Getenv("GOFLAGS"), "CGO_ENABLED=0"}
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPROXY", "GOTOOLCHAIN", "GOROOT"} {
		out, err := exec.Command("go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Env = append(cmd.Env, name+"="+strings.TrimSpace(string(out)))
	}
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", line, err, out, said.String())
	}
	return string(out)
}
