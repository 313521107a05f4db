package restore

import (
	"bytes"
	"strings"

	"github.com/nacre-backup/nacre/internal/pattern"
	"github.com/nacre-backup/nacre/internal/tree"
)

// Choose makes a filter for Options.Select from patterns in the dialect of pattern.Excludes. With include patterns,
// what matches one of them is taken and all that is below; without, everything is. What matches an exclude pattern is
// left out with all that is below, whatever the include patterns say. With fold, case makes no difference.
//
// The function remembers the last directory that it was asked about and is for one goroutine, as a restore has it.
func Choose(include, exclude []string, fold bool) (func(path []byte, typ tree.Type) Choice, error) {
	if len(include)+len(exclude) == 0 {
		return nil, nil
	}
	var c chooser
	var err error
	if c.exclude, err = pattern.Excludes(exclude, fold); err != nil {
		return nil, err
	}
	if len(include) == 0 {
		return c.choose, nil
	}
	if c.include, err = pattern.Excludes(include, fold); err != nil {
		return nil, err
	}
	if !fold {
		c.plain = plainPaths(include)
	}
	return c.choose, nil
}

type chooser struct {
	include, exclude *pattern.List
	plain            [][]byte // the include patterns, if all of them are plain paths from the top

	dir []byte // the last directory asked about
	in  bool   // it, or one that it lies below, matches an include pattern
	any bool   // dir is set
}

func (c *chooser) choose(path []byte, typ tree.Type) Choice {
	isDir := typ == tree.Dir
	if c.exclude.Match(path, isDir) == pattern.Excluded {
		return Leave
	}
	if c.include == nil {
		return Take
	}
	dir := path[:max(bytes.LastIndexByte(path, '/'), 0)]
	if !c.any || !bytes.Equal(dir, c.dir) {
		c.dir, c.in, c.any = append(c.dir[:0], dir...), c.below(dir), true
	}
	switch {
	case c.in || c.include.Match(path, isDir) == pattern.Excluded:
		return Take
	case isDir && c.onTheWay(path):
		return Descend
	}
	return Leave
}

// below reports whether dir or one of its ancestors matches an include pattern.
func (c *chooser) below(dir []byte) bool {
	for len(dir) > 0 {
		if c.include.Match(dir, true) == pattern.Excluded {
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
