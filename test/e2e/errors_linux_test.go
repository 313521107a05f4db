package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nacre-backup/nacre/internal/testkit/fusefs"
)

// incomplete makes a backup that cannot read everything.
func (b *box) incomplete(t *testing.T, src string) summary {
	t.Helper()
	r := b.try(t, "backup", "--json", src)
	if r.code != 3 {
		t.Fatalf("exit code %d, want 3\n%s%s", r.code, clip(r.out), clip(r.err))
	}
	out := strings.TrimSpace(r.out)
	var s summary
	must(t, json.Unmarshal([]byte(out[strings.LastIndexByte(out, '\n')+1:]), &s))
	if s.Stats.Failed == 0 {
		t.Errorf("no failure in the summary: %+v", s)
	}
	return s
}

// same checks that a restore of the latest snapshot yields exactly the files.
func (b *box) same(t *testing.T, src, target string, files map[string]string) {
	t.Helper()
	b.nacre(t, "restore", "latest:"+src, "--target", target)
	n := 0
	must(t, filepath.WalkDir(target, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(target, p)
		must(t, err)
		content, err := os.ReadFile(p)
		if want, ok := files[rel]; !ok || want != string(content) {
			t.Errorf("%s: %d bytes, want %d", rel, len(content), len(want))
		}
		n++
		return err
	}))
	if n != len(files) {
		t.Errorf("%d files came back, want %d", n, len(files))
	}
}

func TestWhatCannotBeReadKeepsItsLastGoodCopy(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"a/one": "1", "a/two": "22", "a/deep/er": "x", "b/c/three": strings.Repeat("3", 5000), "b/four": string(bytes.Repeat([]byte("4444"), 1<<20)), "z/five": "5",
	}
	b := newBox(t)
	f := fusefs.Mount(t, files)
	b.backup(t, f.Dir)
	b.same(t, f.Dir, b.path("whole"), files)

	f.FailAfter("a", fusefs.ReadDir, syscall.EIO, 1, -1)
	f.Fail("b/c", fusefs.OpenDir, syscall.EACCES, -1)
	f.Fail("z/five", fusefs.Lookup, syscall.EIO, -1)
	b.incomplete(t, f.Dir)
	b.same(t, f.Dir, b.path("with errors"), files)

	f.GoAway()
	b.incomplete(t, f.Dir)
	b.same(t, f.Dir, b.path("gone"), files)
}

func TestAFileThatCannotBeReadIsNamedAndTheRestIsThere(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	f := fusefs.Mount(t, map[string]string{"bad": strings.Repeat("b", 1<<20), "good": "good", "short": strings.Repeat("s", 300_000)})
	f.FailAfter("bad", fusefs.Read, syscall.EIO, 500_000, -1)
	f.FailAfter("good", fusefs.Read, syscall.EINTR, 0, 2)
	f.Short("short", 999)
	r := b.try(t, "backup", f.Dir)
	if r.code != 3 || !strings.Contains(r.err, filepath.Join(f.Dir, "bad")) {
		t.Fatalf("exit code %d\n%s", r.code, clip(r.err))
	}
	b.try(t, "restore", "latest:"+f.Dir, "--target", b.path("out"))
	for name, want := range map[string]int{"good": 4, "short": 300_000} {
		info, err := os.Stat(b.path("out", name))
		if err != nil || info.Size() != int64(want) {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}
