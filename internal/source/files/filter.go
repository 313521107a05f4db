package files

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/pattern"
	"github.com/nacre-backup/nacre/internal/tree"
)

// vcsFiles are what GNU tar's --exclude-vcs leaves out.
var vcsFiles = []string{
	"CVS/", ".cvsignore", "RCS/", "SCCS/", ".git/", ".git", ".gitignore", ".gitattributes", ".gitmodules", ".svn/",
	".arch-ids/", "{arch}/", "=RELEASE-ID", "=meta-update", "=update", ".bzr/", ".bzrignore", ".bzrtags", ".hg/",
	".hgignore", ".hgtags", "_darcs/",
}

const cachedirSignature = "CACHEDIR.TAG:Signature: 8a477f597d28d172789f06886806bc55"

// filter decides by name what is left out.
type filter struct {
	lists    []*pattern.List
	vcs      *pattern.List
	tags     []tag
	byPath   [][]byte // paths of AlwaysSkip that did not exist at the start
	ignore   bool
	larger   uint64
	oneFS    bool
	needPath bool // some rule looks at the whole path
}

// tag is a file that marks its directory.
type tag struct{ name, header []byte }

// ignoreRules are the ignore files of one directory, and those of the directories above it.
type ignoreRules struct {
	above *ignoreRules
	lists []*pattern.List // .gitignore, then .nacreignore, which has the last word
	below int             // where the path relative to the directory begins within the path from the top
}

func (f *Filter) validate() error {
	_, err := f.compile()
	return err
}

func (f *Filter) compile() (*filter, error) {
	c := &filter{ignore: f.Gitignore, larger: uint64(f.ExcludeLargerThan), oneFS: f.OneFileSystem}
	exclude := slices.Clone(f.Exclude)
	for _, name := range f.ExcludeFile {
		content, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read the exclude file: %w", unlessMissing(err))
		}
		exclude = append(exclude, pattern.ExcludeLines(content)...)
	}
	for _, l := range []struct {
		patterns []string
		fold     bool
	}{{exclude, false}, {f.IExclude, true}} {
		if len(l.patterns) == 0 {
			continue
		}
		list, err := pattern.Excludes(systemSlashes(l.patterns), l.fold)
		if err != nil {
			return nil, err
		}
		c.lists = append(c.lists, list)
	}
	if f.ExcludeVCS {
		c.vcs = pattern.Ignore([]byte(strings.Join(vcsFiles, "\n")))
	}
	present := f.ExcludeIfPresent
	if f.ExcludeCaches {
		present = append(slices.Clone(present), cachedirSignature)
	}
	for _, p := range present {
		name, header, _ := strings.Cut(p, ":")
		if name == "" || strings.ContainsAny(name, "/\x00") {
			return nil, errs.New(errs.Usage, "exclude if present %q: must be a file name, or a file name, ':' and how the file begins", p)
		}
		c.tags = append(c.tags, tag{[]byte(name), []byte(header)})
	}
	c.needPath = len(c.lists) > 0 || c.ignore
	return c, nil
}

// systemSlashes lets patterns be written with the system's own separator.
func systemSlashes(patterns []string) []string {
	if runtime.GOOS != "windows" {
		return patterns
	}
	out := make([]string, len(patterns))
	for i, p := range patterns {
		out[i] = strings.ReplaceAll(p, `\`, "/")
	}
	return out
}

// excludes reports whether an entry is left out by its name. path is the path from the top, name its last component.
func (f *filter) excludes(rules *ignoreRules, path, name []byte, typ tree.Type) bool {
	dir := typ == tree.Dir
	for _, l := range f.lists {
		if l.Match(path, dir) == pattern.Excluded {
			return true
		}
	}
	if f.vcs != nil && f.vcs.Match(name, dir) == pattern.Excluded {
		return true
	}
	for _, p := range f.byPath {
		if bytes.Equal(p, path) {
			return true
		}
	}
	for r := rules; r != nil; r = r.above {
		for i := len(r.lists) - 1; i >= 0; i-- {
			switch r.lists[i].Match(path[r.below:], dir) {
			case pattern.Excluded:
				return true
			case pattern.Included:
				return false
			}
		}
	}
	return false
}
