//go:build linux

package golden

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nacre-backup/nacre/internal/cli"
	"github.com/nacre-backup/nacre/internal/testkit/program"
)

var rewrite = flag.Bool("update", false, "write the golden repositories anew")

// asProgram makes the test binary behave as the program.
const asProgram = "NACRE_GOLDEN_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(cli.Main(os.Exit))
	}
	os.Exit(m.Run())
}

// place is a repository, and the files with what opens it.
type place struct {
	dir string // holds repo, password, key, words
}

func (p place) repo() string              { return filepath.Join(p.dir, "repo") }
func (p place) secret(kind string) string { return filepath.Join(p.dir, kind) }

// run runs a command with an empty home and returns its standard output.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = program.Env(asProgram+"=1", "HOME="+t.TempDir())
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s%s", name, args, err, out, stderr.String())
	}
	return string(out)
}

// nacre runs today's program.
func nacre(t *testing.T, args ...string) string {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	return run(t, exe, args...)
}

const python = "/usr/bin/python3"

var readerScript = filepath.Join("..", "..", "testdata", "reader", "nacre_reader.py")

// reader runs the second reader.
func reader(t *testing.T, args ...string) string {
	t.Helper()
	return run(t, python, append([]string{readerScript}, args...)...)
}

func needReader(t *testing.T) {
	t.Helper()
	if exec.Command(python, "-c", "import zstandard, cryptography, argon2").Run() != nil {
		t.Skip("needs python3-zstandard, python3-cryptography, python3-argon2 (apt)")
	}
}

// makeLocked makes a repository that opens with a password, a keyfile and recovery words, with two snapshots, and the
// manifests of both.
func makeLocked(t *testing.T, p place, source string) {
	t.Helper()
	must(t, os.WriteFile(p.secret("password"), []byte("a golden password\n"), 0o600))
	with := []string{"--repo", p.repo(), "--password-file", p.secret("password"), "-q"}
	nacre(t, append([]string{"init", "--cipher", "aes256-gcm"}, with...)...)
	nacre(t, append([]string{"key", "add", "--new-keyfile", p.secret("key"), "--label", "a keyfile"}, with...)...)
	words := nacre(t, append([]string{"key", "kit", "--json"}, with...)...)
	var kit struct {
		Words any `json:"words"`
	}
	must(t, json.Unmarshal([]byte(words), &kit))
	text, ok := kit.Words.(string)
	if list, isList := kit.Words.([]any); isList {
		var all []string
		for _, w := range list {
			all = append(all, w.(string))
		}
		text, ok = strings.Join(all, " "), true
	}
	if !ok || len(strings.Fields(text)) != 24 {
		t.Fatalf("words: %s", words)
	}
	must(t, os.WriteFile(p.secret("words"), []byte(text+"\n"), 0o600))
	backupTwice(t, p, source, with)
}

// makeOpen makes a repository without encryption.
func makeOpen(t *testing.T, p place, source string) {
	t.Helper()
	with := []string{"--repo", p.repo(), "-q"}
	nacre(t, append([]string{"init", "--encryption", "none", "--yes", "--cipher", "chacha20-poly1305"}, with...)...)
	backupTwice(t, p, source, with)
}

func backupTwice(t *testing.T, p place, source string, with []string) {
	t.Helper()
	root := makeTree(t, source)
	for _, n := range []string{"1", "2"} {
		if n == "2" {
			changeTree(t, root)
		}
		must(t, os.WriteFile(p.secret("manifest"+n), []byte(manifest(t, root, true)), 0o644))
		args := append([]string{"backup", "--name", "golden" + n, "--host", "golden", "--compression", "max"}, with...)
		nacre(t, append(args, root)...)
	}
}

// opening is the ways in which a repository opens: flags for the program and for the reader.
func opening(t *testing.T, p place) map[string][2][]string {
	t.Helper()
	ways := map[string][2][]string{}
	if _, err := os.Stat(p.secret("password")); err != nil {
		ways["open"] = [2][]string{{}, {}}
		return ways
	}
	for _, kind := range []string{"password", "key", "words"} {
		f := p.secret(kind)
		ways[kind] = map[string][2][]string{
			"password": {{"--password-file", f}, {"--password-file", f}},
			"key":      {{"--keyfile", f}, {"--keyfile", f}},
			"words":    {{"--password-file", f}, {"--words-file", f}},
		}[kind]
	}
	return ways
}

// wantManifest is the manifest of snapshot n as this file system can show it.
func wantManifest(t *testing.T, p place, n string, xattrs bool) string {
	t.Helper()
	b, err := os.ReadFile(p.secret("manifest" + n))
	must(t, err)
	if !xattrs {
		return withoutXattrs(string(b))
	}
	return string(b)
}

// byProgram reads a repository with today's program.
func byProgram(t *testing.T, p place) {
	t.Helper()
	for kind, flags := range opening(t, p) {
		with := append([]string{"--repo", p.repo()}, flags[0]...)
		if out := nacre(t, append([]string{"snapshots"}, with...)...); !strings.Contains(out, "golden1") || !strings.Contains(out, "golden2") {
			t.Errorf("%s: snapshots:\n%s", kind, out)
		}
		if kind == "key" || kind == "words" {
			continue // they open the same; restoring once will do
		}
		if strings.Contains(nacre(t, "--help"), "\n  check ") { // a repository of any version is sound to this one
			nacre(t, append([]string{"check", "--read-data"}, with...)...)
		}
		for _, n := range []string{"1", "2"} {
			dir := t.TempDir()
			target := filepath.Join(dir, "out")
			nacre(t, append([]string{"restore", "-q", "golden" + n, "--target", target}, with...)...)
			x := hasXattrs(t, dir)
			if d := cmp.Diff(wantManifest(t, p, n, x), manifest(t, findRoot(t, target), x)); d != "" {
				t.Errorf("%s: snapshot %s (-want +got):\n%s", kind, n, d)
			}
		}
	}
}

// byReader reads a repository with the second reader.
func byReader(t *testing.T, p place) {
	t.Helper()
	for kind, flags := range opening(t, p) {
		with := append(append([]string{}, flags[1]...), p.repo())
		var sids []string
		for _, l := range strings.Split(strings.TrimSpace(reader(t, append(with, "snapshots")...)), "\n") {
			sids = append(sids, strings.Fields(l)[0])
		}
		if len(sids) != 2 {
			t.Fatalf("%s: %d snapshots", kind, len(sids))
		}
		if kind == "key" || kind == "words" {
			continue
		}
		list := reader(t, append(with, "list", sids[1])...)
		for _, want := range []string{"/" + rootName + "/moved/file006\n", "f 0644 1", "l 0777", "p 0620", "/deep/deep/bottom\n"} {
			if !strings.Contains(list, want) {
				t.Errorf("%s: no %q in the list", kind, want)
			}
		}
		for i, n := range []string{"1", "2"} {
			dir := t.TempDir()
			target := filepath.Join(dir, "out")
			reader(t, append(with, "restore", sids[i], target)...)
			x := hasXattrs(t, dir)
			if d := cmp.Diff(wantManifest(t, p, n, x), manifest(t, findRoot(t, target), x)); d != "" {
				t.Errorf("%s: snapshot %s (-want +got):\n%s", kind, n, d)
			}
		}
	}
}

// copyOf copies a golden repository, since reading one may write a session.
func copyOf(t *testing.T, name string) place {
	t.Helper()
	dir := t.TempDir()
	must(t, os.CopyFS(dir, os.DirFS(filepath.Join("..", "..", "testdata", "golden", name))))
	return place{dir}
}

func TestGoldenRepositoriesAreReadByTodaysProgram(t *testing.T) {
	if *rewrite {
		for name, mk := range map[string]func(*testing.T, place, string){"locked": makeLocked, "open": makeOpen} {
			dir := filepath.Join("..", "..", "testdata", "golden", name)
			must(t, os.RemoveAll(dir))
			must(t, os.MkdirAll(dir, 0o755))
			mk(t, place{dir}, t.TempDir())
		}
	}
	for _, name := range []string{"locked", "open"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			byProgram(t, copyOf(t, name))
		})
	}
}

func TestGoldenRepositoriesAreReadByTheSecondReader(t *testing.T) {
	t.Parallel()
	needReader(t)
	for _, name := range []string{"locked", "open"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			byReader(t, copyOf(t, name))
		})
	}
}

func TestTodaysRepositoryIsReadByBoth(t *testing.T) {
	t.Parallel()
	for name, mk := range map[string]func(*testing.T, place, string){"locked": makeLocked, "open": makeOpen} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := place{t.TempDir()}
			mk(t, p, t.TempDir())
			t.Run("program", func(t *testing.T) { byProgram(t, p) })
			t.Run("reader", func(t *testing.T) {
				needReader(t)
				byReader(t, p)
			})
		})
	}
}

// TestTheSecondReaderRefusesWhatIsDamaged flips a bit in the last byte of a fate's signature and in the first segment
// of a data pack.
func TestTheSecondReaderRefusesWhatIsDamaged(t *testing.T) {
	t.Parallel()
	needReader(t)
	flip := func(t *testing.T, path string, at int) {
		b, err := os.ReadFile(path)
		must(t, err)
		b[(at+len(b))%len(b)] ^= 1
		must(t, os.Chmod(path, 0o600))
		must(t, os.WriteFile(path, b, 0o600))
	}
	objects := func(t *testing.T, p place, pattern string) []string {
		found, err := filepath.Glob(filepath.Join(p.repo(), filepath.FromSlash(pattern)))
		must(t, err)
		if len(found) == 0 {
			t.Fatalf("no object %s", pattern)
		}
		return found
	}
	t.Run("fate", func(t *testing.T) {
		p := copyOf(t, "open")
		fate := objects(t, p, "fates/*/*")[0]
		flip(t, fate, -1)
		if out := reader(t, p.repo(), "snapshots"); strings.Count(out, "\n") != 2 {
			t.Errorf("with a second copy there are two snapshots:\n%s", out)
		}
		flip(t, filepath.Join(p.repo(), "dup", strings.TrimPrefix(fate, p.repo())), -1)
		if out := reader(t, p.repo(), "snapshots"); strings.Contains(out, filepath.Base(fate)) {
			t.Errorf("a snapshot whose signature does not verify is listed:\n%s", out)
		}
	})
	t.Run("pack", func(t *testing.T) {
		p := copyOf(t, "open")
		for _, pack := range objects(t, p, "data/*/*") {
			flip(t, pack, 100)
		}
		cmd := exec.Command(python, readerScript, p.repo(), "restore", filepath.Join(t.TempDir(), "out"))
		if out, err := cmd.CombinedOutput(); err == nil {
			t.Errorf("damaged packs were restored:\n%s", out)
		}
	})
}
