package files

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/tree"
)

// at joins paths to a root.
func at(root string, paths ...string) []string {
	var out []string
	for _, p := range paths {
		out = append(out, filepath.Join(root, p))
	}
	return out
}

func TestFiltersLeaveOutWhatTheySay(t *testing.T) {
	t.Parallel()
	files := []string{
		"a.o", "a.c", "keep.o", "big", "sub/a.o", "sub/B.TXT", "sub/deep/x", "cache/CACHEDIR.TAG", "cache/data", "cache/sub/more",
		"fake/CACHEDIR.TAG", "fake/data", "marked/.nobackup", "marked/data", ".git/config", ".gitignore", "ig/.gitignore",
		"ig/x.log", "ig/keep.log", "ig/only/here", "ig/sub/only", "ig/sub/.nacreignore", "ig/sub/x.log", "ig/sub/y.tmp",
	}
	for _, c := range []struct {
		name   string
		filter Filter
		gone   []string // with everything below them
	}{
		{"nothing", Filter{}, nil},
		{"a suffix", Filter{Exclude: []string{"*.o"}}, []string{"a.o", "keep.o", "sub/a.o"}},
		{"a suffix but for one", Filter{Exclude: []string{"*.o", "!keep.o"}}, []string{"a.o", "sub/a.o"}},
		{"a directory", Filter{Exclude: []string{"sub/"}}, []string{"sub", "ig/sub", "cache/sub"}},
		{"two components", Filter{Exclude: []string{"sub/deep"}}, []string{"sub/deep"}},
		{"any case", Filter{IExclude: []string{"b.txt"}}, []string{"sub/B.TXT"}},
		{"from a file", Filter{ExcludeFile: []string{"LIST"}}, []string{"a.c"}},
		{"large files", Filter{ExcludeLargerThan: 1000}, []string{"big"}},
		{"caches", Filter{ExcludeCaches: true}, []string{"cache/data", "cache/sub"}},
		{"marked directories", Filter{ExcludeIfPresent: []string{".nobackup"}}, []string{"marked/data"}},
		{"marked with a header that is not there", Filter{ExcludeIfPresent: []string{".nobackup:other"}}, nil},
		{"version control", Filter{ExcludeVCS: true}, []string{".git", ".gitignore", "ig/.gitignore"}},
		{"ignore files", Filter{Gitignore: true}, []string{"a.c", "ig/x.log", "ig/only", "ig/sub/x.log", "ig/sub/y.tmp"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			build(t, root, files...)
			write := func(name, content string) {
				if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			write("cache/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n# comment")
			write("big", strings.Repeat("x", 1001))
			write(".gitignore", "/a.c\n")
			write("ig/.gitignore", "*.log\n!keep.log\n/only/\n")
			write("ig/sub/.nacreignore", "*.tmp\n")
			want := []string{"sub/deep", "cache/sub"}
			want = append(want, files...)
			for _, f := range files {
				for d := filepath.Dir(f); d != "."; d = filepath.Dir(d) {
					want = append(want, filepath.ToSlash(d))
				}
			}
			slices.Sort(want)
			want = slices.Compact(want)
			for _, g := range c.gone {
				n := len(want)
				want = slices.DeleteFunc(want, func(p string) bool { return p == g || strings.HasPrefix(p, g+"/") })
				if len(want) == n {
					t.Fatalf("the test itself is wrong: %q was not there", g)
				}
			}
			if len(c.filter.ExcludeFile) > 0 {
				list := filepath.Join(t.TempDir(), "list")
				if err := os.WriteFile(list, []byte("# what\n\n a.c \n"), 0o644); err != nil {
					t.Fatal(err)
				}
				c.filter.ExcludeFile = []string{list}
			}
			got := walkAll(t, open(t, Options{Roots: []string{root}, Filter: c.filter})).below(root)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}

func TestRootsAreMergedAndTheirAncestorsImplied(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	build(t, root, "a/b/c/f", "a/other", "a/b/g", "x/y/f", "x/not", "z.o")
	roots := at(root, "a/b", "a/b/c", "x/y", "a/b/", "z.o")
	v := walkAll(t, open(t, Options{Roots: roots, Filter: Filter{Exclude: []string{"c", "*.o"}}}))
	want := []string{"a", "x", "z.o", "a/b", "a/b/c", "a/b/g", "a/b/c/f", "x/y", "x/y/f"}
	if got := v.below(root); !slices.Equal(got, want) {
		t.Fatalf("got  %q\nwant %q", got, want)
	}
	for p, implied := range map[string]bool{"a": true, "x": true, "a/b": false, "a/b/c": false, "x/y": false, "z.o": false} {
		e := v.entries[top(root)+p].Entry
		if e.Flags&tree.Implied != 0 != implied {
			t.Errorf("%s: flags %d", p, e.Flags)
		}
		if implied && (!e.ModTime.IsZero() || e.Inode != 0 || e.FS != "" || e.Mode == 0) {
			t.Errorf("%s has more than type, mode and owner: %+v", p, e)
		}
	}
	if v.entries[""].Entry.Flags&tree.Implied == 0 {
		t.Error("the top is not implied")
	}
}

func TestRootsComeFromListsToo(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	build(t, root, "a", "b", "c", "d", "e f", "left")
	list, list0 := filepath.Join(root, "list"), filepath.Join(root, "list0")
	if err := os.WriteFile(list, []byte("# roots\nb\n\ne f\r\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(list0, []byte("c\x00"+filepath.Join(root, "d")), 0o644); err != nil {
		t.Fatal(err)
	}
	s := open(t, Options{Roots: []string{"a"}, FilesFrom: []string{list}, FilesFrom0: []string{list0, "-"}, Stdin: strings.NewReader("./a\x00"), WorkDir: root})
	if got := walkAll(t, s).below(root); !slices.Equal(got, []string{"a", "b", "c", "d", "e f"}) {
		t.Fatalf("got %q", got)
	}
	if got := s.Roots(); len(got) != 6 || got[0] != filepath.Join(root, "a") {
		t.Fatalf("roots %q", got)
	}
}

func TestAMissingRootIsAnErrorAndTheOthersAreRead(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	build(t, root, "here/f", "file")
	v := walkAll(t, open(t, Options{Roots: at(root, "here", "gone", "no/such/place", "file/below")}))
	for _, p := range []string{"gone", "no"} {
		if e := v.entries[top(root)+p]; e == nil || e.Entry.ErrClass != tree.ErrVanished || e.Entry.ErrText == "" {
			t.Errorf("%s: %+v", p, e)
		}
	}
	if e := v.entries[top(root)+"file"]; e == nil || e.Entry.ErrClass != tree.ErrVanished {
		t.Errorf("file: %+v", e)
	}
	if v.entries[top(root)+"here/f"] == nil {
		t.Error("the root that is there was not read")
	}
	_, err := New(Options{Roots: at(root, "gone", "also/gone")})
	if !errors.Is(err, errs.NotFound) || errs.Hint(err) == "" {
		t.Errorf("no root at all: %v", err)
	}
}

func needsLinks(t *testing.T, target, name string) {
	t.Helper()
	if err := os.Symlink(target, name); err != nil {
		if runtime.GOOS == "windows" {
			t.Skipf("needs the right to make symbolic links: %v", err)
		}
		t.Fatal(err)
	}
}

func TestSymbolicLinksAreFollowedAsTold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		follow Follow
		want   string
	}{
		{FollowRoots, "root/:d root/broken:l root/dir:l root/f:f root/file:l root/loop:l root/sub:d root/sub/up:l"},
		{FollowNever, "root/:l"},
		{FollowAll, "root/:d root/broken:l root/dir:d root/f:f root/file:f root/loop:l! root/sub:d root/dir/inner:f root/sub/up:d!"},
	} {
		t.Run([]string{"roots", "never", "all"}[c.follow], func(t *testing.T) {
			t.Parallel()
			base := t.TempDir()
			build(t, base, "real/f", "real/sub/", "elsewhere/inner")
			needsLinks(t, "real", filepath.Join(base, "root"))
			needsLinks(t, "../elsewhere", filepath.Join(base, "real/dir"))
			needsLinks(t, "f", filepath.Join(base, "real/file"))
			needsLinks(t, "nowhere", filepath.Join(base, "real/broken"))
			needsLinks(t, "loop", filepath.Join(base, "real/loop"))
			needsLinks(t, "../../real", filepath.Join(base, "real/sub/up"))
			s := open(t, Options{Roots: at(base, "root"), FollowSymlinks: c.follow})
			v := walkAll(t, s)
			var got []string
			for _, p := range v.below(base) {
				e := v.entries[top(base)+p].Entry
				kind := map[tree.Type]string{tree.Dir: "d", tree.File: "f", tree.Symlink: "l"}[e.Type]
				if e.ErrClass == tree.ErrLoop {
					kind += "!"
				}
				if p == "root" {
					p = "root/"
				}
				got = append(got, p+":"+kind)
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got  %s\nwant %s", strings.Join(got, " "), c.want)
			}
			if it := v.entries[top(base)+"root/f"]; it != nil {
				if b := readWholeFile(t, s, it.Entry, it.Handle.(*ref)); b != "real/f" {
					t.Errorf("content %q", b)
				}
			}
		})
	}
}

func readWholeFile(t *testing.T, s *Source, e *tree.Entry, r *ref) string {
	t.Helper()
	f, err := s.openFile(r)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	buf := make([]byte, e.Size)
	if _, err := f.ReadAt(buf, 0); err != nil {
		t.Fatal(err)
	}
	return string(buf)
}

func TestTheRepositoryIsAlwaysSkipped(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	build(t, base, "data/f", "data/repo/pack", "data/later/x", "cache/y")
	s := open(t, Options{Roots: []string{base}, AlwaysSkip: append(at(base, "data/repo", "data/new"), at(base, "cache")...)})
	build(t, base, "data/new/z") // made after the start
	got := walkAll(t, s).below(base)
	if !slices.Equal(got, []string{"data", "data/f", "data/later", "data/later/x"}) {
		t.Fatalf("got %q", got)
	}
}

func TestOptionsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	ok := []string{"."}
	for name, o := range map[string]Options{
		"no root":                 {},
		"an empty root":           {Roots: []string{""}},
		"a root with a NUL byte":  {Roots: []string{"a\x00b"}},
		"a negative size":         {Roots: ok, Filter: Filter{ExcludeLargerThan: -1}},
		"a broken pattern":        {Roots: ok, Filter: Filter{Exclude: []string{"[a"}}},
		"a broken pattern, case":  {Roots: ok, Filter: Filter{IExclude: []string{"[a"}}},
		"a marker that is a path": {Roots: ok, Filter: Filter{ExcludeIfPresent: []string{"a/b"}}},
		"an unknown rule":         {Roots: ok, FollowSymlinks: 9},
		"an empty list":           {FilesFrom0: []string{"-"}, Stdin: strings.NewReader("")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := New(o); !errors.Is(err, errs.Usage) {
				t.Errorf("error %v, want one of usage", err)
			}
		})
	}
	for _, o := range []Options{{Roots: ok, Filter: Filter{ExcludeFile: []string{"no/such/file"}}}, {FilesFrom: []string{"no/such/file"}}} {
		if _, err := New(o); err == nil {
			t.Error("a list that cannot be read is no error")
		}
	}
	for s, want := range map[string]Follow{"never": FollowNever, "roots": FollowRoots, "": FollowRoots, "all": FollowAll} {
		if f, err := ParseFollow(s); err != nil || f != want {
			t.Errorf("%q: %d, %v", s, f, err)
		}
	}
	if _, err := ParseFollow("some"); !errors.Is(err, errs.Usage) {
		t.Errorf("error %v", err)
	}
}

func TestAFileCanBeTheOnlyRoot(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	build(t, base, "f", "g")
	v := walkAll(t, open(t, Options{Roots: at(base, "f")}))
	if got := v.below(base); !slices.Equal(got, []string{"f"}) {
		t.Fatalf("got %q", got)
	}
}
