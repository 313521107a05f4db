package pattern

import (
	"errors"
	"strings"
	"testing"

	"github.com/nacre-backup/nacre/internal/errs"
)

func TestExcludesMatchAsResticUsersKnow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern string
		fold    bool
		yes, no []string // a slash at the end says directory
	}{
		{"*.tmp", false, []string{"a.tmp", "home/x/a.tmp", "home/a.tmp/"}, []string{"a.tmp2", "atmp", "a.TMP"}},
		{"/home/*/cache", false, []string{"home/x/cache", "home/x/cache/"}, []string{"home/x/y/cache", "x/home/x/cache", "home/cache"}},
		{"cache", false, []string{"cache", "home/x/cache"}, []string{"home/x/cache2", "home/cached"}},
		{"foo/bar", false, []string{"foo/bar", "x/y/foo/bar"}, []string{"foo", "foo/x/bar", "xfoo/bar"}},
		{"foo/**/bar", false, []string{"foo/bar", "x/foo/a/b/bar"}, []string{"foo/barx"}},
		{"/a/**", false, []string{"a/b", "a/b/c"}, []string{"a", "b/a/c"}},
		{"node_modules/", false, []string{"x/node_modules/"}, []string{"x/node_modules"}},
		{"./x", false, []string{"x", "a/x"}, []string{"y"}},
		{"a//b", false, []string{"a/b"}, []string{"ab"}},
		{"*.JPG", true, []string{"a.jpg", "a.Jpg", "dir/b.JPG"}, []string{"a.png"}},
		{"ÄRGER*", true, []string{"ärger1", "Ärger"}, []string{"arger"}},
		{"?", false, []string{"ä", "a"}, []string{"ab"}},
		{"[äö]x", false, []string{"äx", "öx"}, []string{"ax", "\xc3x"}},
		{"\xff*", false, []string{"\xffabc"}, []string{"abc", "\u00ff"}},
		{`\*`, false, []string{"*"}, []string{"a"}},
	} {
		t.Run(c.pattern, func(t *testing.T) {
			t.Parallel()
			l, err := Excludes([]string{c.pattern}, c.fold)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range c.yes {
				name, dir := strings.CutSuffix(p, "/")
				if l.Match([]byte(name), dir) != Excluded {
					t.Errorf("%q is not excluded", p)
				}
			}
			for _, p := range c.no {
				name, dir := strings.CutSuffix(p, "/")
				if l.Match([]byte(name), dir) != None {
					t.Errorf("%q is matched", p)
				}
			}
		})
	}
}

func TestTheLastPatternDecides(t *testing.T) {
	t.Parallel()
	l, err := Excludes([]string{"*.log", "!keep.log", "keep.*", "!/top/keep.log", "keep/"}, false)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]Verdict{"a.log": Excluded, "x/keep.log": Excluded, "top/keep.log": Included, "keep": None, "other": None} {
		if got := l.Match([]byte(path), false); got != want {
			t.Errorf("%q: %d, want %d", path, got, want)
		}
	}
	if got := l.Match([]byte("keep"), true); got != Excluded {
		t.Errorf("directory keep: %d, want excluded", got)
	}
	if l.Len() != 5 || (*List)(nil).Len() != 0 || (*List)(nil).Match([]byte("a"), false) != None {
		t.Error("the nil list or the length is wrong")
	}
}

func TestBrokenPatternsAreRefusedByName(t *testing.T) {
	t.Parallel()
	for _, p := range []string{"[a", "a/[!", `a\`, "[[:nope:]]", "", "/", "!", "!/"} {
		if _, err := Excludes([]string{p}, false); !errors.Is(err, errs.Usage) || !strings.Contains(err.Error(), "pattern") {
			t.Errorf("%q: error %v", p, err)
		}
	}
}

func TestExcludeLinesLeavesOutCommentsAndSpace(t *testing.T) {
	t.Parallel()
	got := ExcludeLines([]byte("\xef\xbb\xbf# comment\n\n  *.o  \r\n!x\n\t/y\n"))
	if strings.Join(got, "|") != "*.o|!x|/y" {
		t.Fatalf("%q", got)
	}
}

func TestManyStarsDoNotTakeForever(t *testing.T) {
	t.Parallel()
	l := Ignore([]byte(strings.Repeat("*a", 40) + "*b\n" + strings.Repeat("**/a/", 40) + "b"))
	if l.Match([]byte(strings.Repeat("a/", 2000)+strings.Repeat("a", 4000)), false) != None {
		t.Fatal("matched")
	}
}

func FuzzIgnore(f *testing.F) {
	for _, p := range ordinary {
		f.Add(p, "a/b/foo.o", true)
	}
	f.Fuzz(func(t *testing.T, patterns, path string, dir bool) {
		Ignore([]byte(patterns)).Match([]byte(path), dir)
		if l, err := Excludes(strings.Split(patterns, "\n"), dir); err == nil {
			l.Match([]byte(path), dir)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	l, err := Excludes([]string{"*.o", "*.tmp", "node_modules", ".cache", "/home/*/Downloads", "target", "*.pyc"}, false)
	if err != nil {
		b.Fatal(err)
	}
	path := []byte("home/someone/src/project/internal/source/files.go")
	b.ReportAllocs()
	for b.Loop() {
		l.Match(path, false)
	}
}
