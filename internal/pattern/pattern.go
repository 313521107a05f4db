// Package pattern is about lists of file name patterns, in two dialects that people know by heart.
//
// Ignore files are read as git reads .gitignore: a pattern without a slash (but for one at its end) matches the last
// component at any depth, one with a slash is bound to the directory of the file. Exclude patterns are read as
// restic's: "/a/b" is bound to the top, "a/b" matches these components anywhere. In both, a slash at the end asks for
// a directory, "!" keeps what an earlier pattern left out, "*" and "?" do not match a slash, "**" as a component
// matches any number of components, "[a-z]" and "[!a-z]" match one character, and a backslash takes the next
// character as it is. Ignore files match bytes, as git does; exclude patterns match characters.
//
// Of the patterns of a list that match, the last one decides. A list answers for one path only: that nothing below an
// excluded directory is looked at, is the walker's part.
//
// A pattern is compiled into components, and a component into tokens, so that a match costs no more than the product
// of the lengths of pattern and path, however many stars it has. Patterns that are plain names, which most are, are
// found by one look into a map.
//
// Git itself departs from its documentation where "**" is not a component of its own: it compares the text before the
// first wildcard by bytes and then takes a "**" that follows as if it stood at the beginning, so that "a**/b" matches
// "ax/y/b" and "a/x/b". Here, as documented, such a "**" is a "*".
package pattern

import (
	"bytes"
	"strings"

	"github.com/nacre-backup/nacre/internal/errs"
)

// Verdict is what a list says of a path.
type Verdict uint8

// The verdicts.
const (
	None     Verdict = iota // no pattern matches
	Excluded                // the last pattern that matches excludes
	Included                // the last pattern that matches begins with '!'
)

// List is a compiled list of patterns. It may be used by several goroutines at once. The nil List matches nothing.
type List struct {
	pats  []compiled
	names map[string]int // plain names: the last pattern of this name, where it does not ask for a directory
	dirs  map[string]int // plain names with a slash at the end
	rest  []int          // the other patterns
	fold  bool           // names are compared in lower case
}

// compiled is one pattern.
type compiled struct {
	comps   []component // last component only, if base
	negate  bool
	dirOnly bool
	base    bool // compared with the last component of the path
}

// Ignore compiles the content of a .gitignore file. As in git, a line that is no pattern matches nothing.
func Ignore(content []byte) *List {
	l := &List{}
	content = bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))
	for line := range bytes.SplitSeq(content, []byte("\n")) {
		l.addIgnore(string(bytes.TrimSuffix(line, []byte("\r"))))
	}
	return l
}

func (l *List) addIgnore(line string) {
	if line == "" || line[0] == '#' {
		return
	}
	line = trimSpaces(line)
	var c compiled
	line, c.negate = strings.CutPrefix(line, "!")
	line, c.dirOnly = strings.CutSuffix(line, "/")
	if line == "" {
		return
	}
	c.base = !strings.Contains(line, "/")
	line = strings.TrimPrefix(line, "/")
	comps, err := compile(line, true)
	if err != nil {
		return
	}
	c.comps = comps
	l.add(c)
}

// trimSpaces takes away the spaces at the end of a line but one that follows a backslash.
func trimSpaces(line string) string {
	end := 0
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case ' ':
			continue
		case '\\':
			i++
		}
		end = min(i+1, len(line))
	}
	return line[:end]
}

// Excludes compiles patterns given one by one. With fold, case makes no difference. The error is of kind errs.Usage
// and names the pattern.
func Excludes(patterns []string, fold bool) (*List, error) {
	l := &List{fold: fold}
	for _, p := range patterns {
		if err := l.addExclude(p); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// ExcludeLines returns the patterns in the content of an exclude file: one on each line, without white space around
// it; empty lines and lines that begin with '#' are left out.
func ExcludeLines(content []byte) []string {
	var lines []string
	content = bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))
	for line := range bytes.SplitSeq(content, []byte("\n")) {
		line = bytes.TrimSpace(line)
		if len(line) > 0 && line[0] != '#' {
			lines = append(lines, string(line))
		}
	}
	return lines
}

func (l *List) addExclude(p string) error {
	var c compiled
	text := p
	if l.fold {
		text = string(lower([]byte(text)))
	}
	text, c.negate = strings.CutPrefix(text, "!")
	trimmed := strings.TrimRight(text, "/")
	if trimmed == "" {
		return errs.New(errs.Usage, "pattern %q matches nothing", p)
	}
	if !strings.HasSuffix(trimmed, `\`) {
		c.dirOnly = len(trimmed) < len(text)
		text = trimmed
	}
	text = cleanSlashes(text)
	floating := !strings.HasPrefix(text, "/")
	text = strings.TrimPrefix(text, "/")
	comps, err := compile(text, false)
	if err != nil {
		return errs.New(errs.Usage, "pattern %q: %w", p, err)
	}
	c.base = floating && len(comps) == 1
	if floating && !c.base && !comps[0].anyDirs {
		comps = append([]component{{anyDirs: true}}, comps...)
	}
	c.comps = comps
	l.add(c)
	return nil
}

// cleanSlashes makes one slash of several and takes away "./".
func cleanSlashes(s string) string {
	for strings.Contains(s, "//") {
		s = strings.ReplaceAll(s, "//", "/")
	}
	s = strings.ReplaceAll(s, "/./", "/")
	return strings.TrimPrefix(s, "./")
}

func (l *List) add(c compiled) {
	i := len(l.pats)
	l.pats = append(l.pats, c)
	if lit, ok := c.comps[0].literal(); ok && c.base {
		m := &l.names
		if c.dirOnly {
			m = &l.dirs
		}
		if *m == nil {
			*m = make(map[string]int)
		}
		(*m)[lit] = i
		return
	}
	l.rest = append(l.rest, i)
}

// Len returns the number of patterns.
func (l *List) Len() int {
	if l == nil {
		return 0
	}
	return len(l.pats)
}

// Match says what the list makes of path, whose components are joined by '/' without one at the beginning; dir says
// that it is a directory.
func (l *List) Match(path []byte, dir bool) Verdict {
	if l == nil || len(l.pats) == 0 {
		return None
	}
	if l.fold {
		path = lower(path)
	}
	base := path[bytes.LastIndexByte(path, '/')+1:]
	last := -1
	if i, ok := l.names[string(base)]; ok {
		last = i
	}
	if i, ok := l.dirs[string(base)]; ok && dir {
		last = max(last, i)
	}
	for k := len(l.rest) - 1; k >= 0 && l.rest[k] > last; k-- {
		if l.pats[l.rest[k]].match(path, base, dir) {
			last = l.rest[k]
			break
		}
	}
	switch {
	case last < 0:
		return None
	case l.pats[last].negate:
		return Included
	}
	return Excluded
}

func (c *compiled) match(path, base []byte, dir bool) bool {
	if c.dirOnly && !dir {
		return false
	}
	if c.base {
		return c.comps[0].match(base)
	}
	return matchPath(c.comps, path)
}

// matchPath matches components against a path. A component that matches any number of others is retried one further
// each time what follows it fails; only the last such component ever needs to be retried.
func matchPath(comps []component, path []byte) bool {
	ci, retryComp := 0, -1
	rest, more := path, true
	var retryRest []byte
	for more {
		if ci < len(comps) && comps[ci].anyDirs {
			if ci == len(comps)-1 {
				return true // "**" at the end stands for one component or more
			}
			ci++
			retryComp, retryRest = ci, rest
			continue
		}
		if ci < len(comps) {
			name, after, slash := cut(rest)
			if comps[ci].match(name) {
				ci++
				rest, more = after, slash
				continue
			}
		}
		if retryComp < 0 {
			return false
		}
		ci = retryComp
		_, rest, more = cut(retryRest)
		retryRest = rest
	}
	return ci == len(comps)
}

func cut(path []byte) (name, after []byte, slash bool) {
	if i := bytes.IndexByte(path, '/'); i >= 0 {
		return path[:i], path[i+1:], true
	}
	return path, nil, false
}
