package files

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nacre-backup/nacre/internal/source/sourcetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	content := map[string][]byte{}
	put := func(name string, b []byte) {
		full := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, b, 0o644); err != nil {
			t.Fatal(err)
		}
		content[strings.Join(splitPath(full), "/")] = b
	}
	put("empty", nil)
	put("small", []byte("hello"))
	put("a/b/c/deep", make([]byte, 100_000))
	put("a.b/c", []byte("x"))
	put("a b/ü", []byte("y"))
	sparse := filepath.Join(root, "sparse")
	f, err := os.Create(sparse)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("island"), 1<<20); err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(3 << 20); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	want := make([]byte, 3<<20)
	copy(want[1<<20:], "island")
	content[strings.Join(splitPath(sparse), "/")] = want
	if err := os.Symlink("small", filepath.Join(root, "link")); err != nil {
		t.Logf("no symbolic links here: %v", err)
	}
	sourcetest.Run(t, func(t *testing.T) sourcetest.Fixture {
		s, err := New(Options{Roots: []string{root}})
		if err != nil {
			t.Fatal(err)
		}
		return sourcetest.Fixture{Source: s, Content: content}
	})
}
