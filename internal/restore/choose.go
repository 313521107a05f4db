package restore

import (
	"bytes"
	"strings"

	"github.com/nacre-backup/nacre/internal/pattern"
	"github.com/nacre-backup/nacre/internal/tree"
)

// Patterns say what is restored, in the dialect of pattern.Excludes; case makes no difference in IInclude and IExclude.
type Patterns struct {
	Include, IInclude []string
	Exclude, IExclude []string
}

// Choose makes a filter for Options.Select; it is nil where there are no patterns. With include patterns, what matches
// one of them is taken and all that is below; without, everything is. What matches an exclude pattern is left out with
// all that is below, whatever the include patterns say.
//
// The function remembers the last directory that it was asked about and is for one goroutine, as a restore has it.
func Choose(p Patterns) (func(path []byte, typ tree.Type) Choice, error) {
	var c chooser
	var err error
	if c.include, err = compile(p.Include, p.IInclude); err != nil {
		return nil, err
	}
	if c.exclude, err = compile(p.Exclude, p.IExclude); err != nil {
		return nil, err
	}
	if len(c.include)+len(c.exclude) == 0 {
		return nil, nil
	}
	if len(p.IInclude) == 0 {
		c.plain = plainPaths(p.Include)
	}
	return c.choose, nil
}

type lists []*pattern.List

func compile(patterns, folded []string) (l lists, err error) {
	for fold, list := range map[bool][]string{false: patterns, true: folded} {
		if len(list) == 0 {
			continue
		}
		compiled, err := pattern.Excludes(list, fold)
		if err != nil {
			return nil, err
		}
		l = append(l, compiled)
	}
	return l, nil
}

func (l lists) match(path []byte, dir bool) bool {
	for _, list := range l {
		if list.Match(path, dir) == pattern.Excluded {
			return true
		}
	}
	return false
}

type chooser struct {
	include, exclude lists
	plain            [][]byte // the include patterns, if all of them are plain paths from the top

	dir []byte // the last directory asked about
	in  bool   // it, or one that it lies below, matches an include pattern
	any bool   // dir is set
}

func (c *chooser) choose(path []byte, typ tree.Type) Choice {
	isDir := typ == tree.Dir
	if c.exclude.match(path, isDir) {
		return Leave
	}
	if len(c.include) == 0 {
		return Take
	}
	dir := path[:max(bytes.LastIndexByte(path, '/'), 0)]
	if !c.any || !bytes.Equal(dir, c.dir) {
		c.dir, c.in, c.any = append(c.dir[:0], dir...), c.below(dir), true
	}
	switch {
	case c.in || c.include.match(path, isDir):
		return Take
	case isDir && c.onTheWay(path):
		return Descend
	}
	return Leave
}

// below reports whether dir or one of its ancestors matches an include pattern.
func (c *chooser) below(dir []byte) bool {
	for len(dir) > 0 {
		if c.include.match(dir, true) {
			return true
		}
		dir = dir[:max(bytes.LastIndexByte(dir, '/'), 0)]
	}
	return false
}

// onTheWay reports whether something below the directory may match. Where all patterns are plain paths this is known,
// and whole parts of the tree need not be read.
func (c *chooser) onTheWay(dir []byte) bool {
	if c.plain == nil {
		return true
	}
	for _, p := range c.plain {
		if tree.Below(p, dir) {
			return true
		}
	}
	return false
}

// plainPaths returns the patterns as paths, or nil if one of them is no plain path from the top.
func plainPaths(patterns []string) [][]byte {
	var paths [][]byte
	for _, p := range patterns {
		rest, ok := strings.CutPrefix(p, "/")
		rest = strings.TrimSuffix(rest, "/")
		if !ok || rest == "" || strings.ContainsAny(rest, `*?[\!`) || strings.Contains(rest, "//") ||
			strings.Contains("/"+rest+"/", "/./") || strings.Contains("/"+rest+"/", "/../") {
			return nil
		}
		paths = append(paths, []byte(rest))
	}
	return paths
}
