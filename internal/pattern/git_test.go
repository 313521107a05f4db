package pattern

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// git asks a real git about paths, which it makes in a repository of its own: git looks whether a path is a directory.
type git struct {
	dir string
	env []string
}

func newGit(t *testing.T) *git {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("needs git (apt)")
	}
	g := &git{dir: t.TempDir()}
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "GIT_") {
			g.env = append(g.env, e)
		}
	}
	g.env = append(g.env, "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull, "HOME="+g.dir)
	g.run(t, nil, "init", "-q")
	for _, p := range probes {
		full := filepath.Join(g.dir, p)
		if strings.HasSuffix(p, "/") {
			if err := os.MkdirAll(full, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return g
}

func (g *git) run(t interface{ Fatalf(string, ...any) }, in []byte, args ...string) []byte {
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env, cmd.Stdin = g.dir, g.env, bytes.NewReader(in)
	out, err := cmd.Output()
	if exit, ok := err.(*exec.ExitError); ok && exit.ExitCode() == 1 && args[0] == "check-ignore" { //nolint:errorlint // Output returns it bare
		err = nil // nothing is ignored
	}
	if err != nil {
		t.Fatalf("git %s: %v", args[0], err)
	}
	return out
}

// ask returns what the last pattern that matches each path says.
func (g *git) ask(t interface{ Fatalf(string, ...any) }, ignore string, paths []string) map[string]Verdict {
	if err := os.WriteFile(filepath.Join(g.dir, ".gitignore"), []byte(ignore), 0o644); err != nil {
		t.Fatalf("%v", err)
	}
	var in []byte
	for _, p := range paths {
		in = append(append(in, strings.TrimSuffix(p, "/")...), 0)
	}
	out := g.run(t, in, "check-ignore", "--no-index", "-v", "-n", "-z", "--stdin")
	fields := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	got := map[string]Verdict{}
	for i := 0; i+3 < len(fields); i += 4 {
		switch pattern := fields[i+2]; {
		case pattern == "":
			got[fields[i+3]] = None
		case pattern[0] == '!':
			got[fields[i+3]] = Included
		default:
			got[fields[i+3]] = Excluded
		}
	}
	return got
}

// ours decides as a walk does: nothing below an excluded directory is looked at.
func ours(l *List, path string) Verdict {
	path, dir := strings.CutSuffix(path, "/")
	for i, c := range path {
		if c == '/' && l.Match([]byte(path[:i]), true) == Excluded {
			return Excluded
		}
	}
	return l.Match([]byte(path), dir)
}

// probes are paths that ordinary patterns tell apart; those that end with a slash are directories.
var probes = []string{
	"a/", "b", "ab", "abc", "a/b/", "a/b/c", "a/x/b", "a/x/y/b", "x/a/b", "foo/", "foo.o", "y/a", "y/b/a", "y/foo", "y/build",
	"x/foo.o", "foo.c", "foo/bar/", "foo/x/bar", "x/foo/", "x/foo/bar", "x/y/foo/bar/baz", "FOO", "y/z/foo", "bar",
	"a b", "a ", "#a", "!a", "a*b", "a?b", "[a]", "a]b", "a-b", "a1", "a9b", "ä", "äb", `a\b`, "build/", "ax/b", "xb",
	"src/build/", "build/x", "x.tar.gz", "doc/x.txt", "doc/a/x.txt", "doc/a/b/x.txt", ".hidden", "x/.hidden",
	"doc/", "aaa", "aaab", "baaa", "z/z/z/z/z", "y/src/build", "y/doc", "y/doc.txt", "-", "]", "a[",
}

// ordinary are patterns as people write them.
var ordinary = []string{
	"a", "a/", "/a", "/a/", "a/b", "/a/b", "a/b/", "*.o", "*", "**", "/*", "*/", "foo*", "*foo", "f?o", "foo/*", "foo/**",
	"**/foo", "**/foo/", "**/foo/bar", "foo/**/bar", "a/**/b", "a/**", "/**", "**/", "**/*.o", "doc/*.txt", "doc/**/*.txt", "!a",
	"!foo", "!*.o", "!/build", "build", "/build", "build/", "src/build", "[ab]", "[!a]", "[^a]", "[a-c]", "[!a-c]*", "a[0-9]",
	"a[0-9]b", "[[]a]", "a[]]b", "a[]-]b", "[[:alpha:]]", "a[[:digit:]]*", "[[:upper:]]*", "[[:bogus:]]", "[a", `\#a`, "#a", `\!a`, `a\ `, "a ",
	"a  ", `a\*b`, `a\?b`, `a\\b`, `\a`, `a\`, "a*b", "*a*", "*a*a*", "a?b", "?", "??", ".*", "!.hidden", "/.hidden", "ä", "?b", "",
	" ", "/", "//", "a//b", "/foo/", "!doc/", "doc/**/", "**/a/**", "*/*", "*/foo", "x/*/foo", "**/x/**/baz", "a]b", "[a-]b", "[]",
	"[!]", "***", "foo/***", "a/***/b",
}

func TestIgnoreAgreesWithGitOnEachOrdinaryPattern(t *testing.T) {
	t.Parallel()
	g := newGit(t)
	for _, p := range ordinary {
		compareWithGit(t, g, p)
	}
}

func compareWithGit(t interface{ Fatalf(string, ...any) }, g *git, ignore string) {
	want := g.ask(t, ignore, probes)
	l := Ignore([]byte(ignore))
	for _, path := range probes {
		if got := ours(l, path); got != want[strings.TrimSuffix(path, "/")] {
			t.Fatalf("patterns %q, path %q: %d, git says %d", ignore, path, got, want[strings.TrimSuffix(path, "/")])
		}
	}
}

func TestIgnoreAgreesWithGitOnListsOfPatterns(t *testing.T) {
	t.Parallel()
	g := newGit(t)
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOfN(rapid.SampledFrom(ordinary), 1, 6).Draw(t, "lines")
		end := rapid.SampledFrom([]string{"", "\n", "\r\n"}).Draw(t, "end")
		compareWithGit(t, g, strings.Join(lines, "\n")+end)
	})
}

func TestGitDepartsFromItsDocumentation(t *testing.T) {
	t.Parallel()
	g := newGit(t)
	// Where "**" is not a component of its own, the documentation says that it is an ordinary "*".
	for _, c := range []struct {
		pattern, path string
		git, ours     Verdict
	}{
		{"a**/b", "a/x/b", Excluded, None},
		{"a**/b", "ax/b", None, Excluded},
	} {
		want := g.ask(t, c.pattern, []string{c.path})[c.path]
		if want != c.git {
			t.Logf("git changed: pattern %q, path %q: %d", c.pattern, c.path, want)
		}
		if got := ours(Ignore([]byte(c.pattern)), c.path); got != c.ours {
			t.Errorf("pattern %q, path %q: %d, want %d", c.pattern, c.path, got, c.ours)
		}
	}
}
