package files

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/tree"
)

// rootNode is a component of a root's path. The roots together make a tree of names, in which a root below another
// one is just a deeper node: so nested roots are merged, and ancestors of roots are the nodes that are no roots.
type rootNode struct {
	name     string
	root     bool
	children []*rootNode // ascending by name
}

// newRoots makes the tree of absolute paths.
func newRoots(paths []string) *rootNode {
	parts := make([][]string, len(paths))
	for i, p := range paths {
		parts[i] = splitPath(p)
	}
	slices.SortFunc(parts, slices.Compare)
	top := &rootNode{}
	for _, p := range parts {
		n := top
		for _, name := range p {
			// The paths are sorted: if the child is there, it is the last one.
			if k := len(n.children); k > 0 && n.children[k-1].name == name {
				n = n.children[k-1]
				continue
			}
			child := &rootNode{name: name}
			n.children = append(n.children, child)
			n = child
		}
		n.root = true
	}
	return top
}

// leaf is an error if something was to be read below the node, which turned out to be no directory.
func (n *rootNode) leaf() error {
	if n == nil || len(n.children) == 0 {
		return nil
	}
	return &classError{tree.ErrVanished, fmt.Errorf("not a directory, but %q was to be read below it", n.children[0].name)}
}

// child returns the node of a name, or nil.
func (n *rootNode) child(name []byte) *rootNode {
	if n == nil {
		return nil
	}
	i, ok := slices.BinarySearchFunc(n.children, name, func(c *rootNode, name []byte) int {
		return strings.Compare(c.name, string(name))
	})
	if !ok {
		return nil
	}
	return n.children[i]
}

// rootPaths returns all roots as clean absolute paths.
func (o *Options) rootPaths() ([]string, error) {
	paths := slices.Clone(o.Roots)
	for _, name := range o.FilesFrom {
		content, err := o.readList(name)
		if err != nil {
			return nil, err
		}
		for line := range bytes.SplitSeq(content, []byte("\n")) {
			line = bytes.TrimSuffix(line, []byte("\r"))
			if len(line) > 0 && line[0] != '#' {
				paths = append(paths, string(line))
			}
		}
	}
	for _, name := range o.FilesFrom0 {
		content, err := o.readList(name)
		if err != nil {
			return nil, err
		}
		for item := range bytes.SplitSeq(content, []byte{0}) {
			if len(item) > 0 {
				paths = append(paths, string(item))
			}
		}
	}
	if len(paths) == 0 {
		return nil, errs.WithHint(errs.New(errs.Usage, "the lists of files name no file"), "a list holds one path on each line")
	}
	for i, p := range paths {
		abs, err := o.absolute(p)
		if err != nil {
			return nil, err
		}
		paths[i] = abs
	}
	return paths, nil
}

func (o *Options) absolute(p string) (string, error) {
	if strings.IndexByte(p, 0) >= 0 {
		return "", errs.New(errs.Usage, "path %q holds a NUL byte", p)
	}
	if filepath.IsAbs(p) {
		return plainPath(filepath.Clean(p)), nil
	}
	if o.WorkDir != "" {
		p = filepath.Join(o.WorkDir, p)
	}
	abs, err := filepath.Abs(p)
	if err != nil {
		return "", fmt.Errorf("find the absolute path of %q: %w", p, err)
	}
	return plainPath(abs), nil
}

// plainPath undoes verbatim in what a user wrote, and writes a drive's letter in upper case: so the same root is the same
// path in every run. Elsewhere it is what was written.
func plainPath(p string) string {
	if runtime.GOOS != "windows" {
		return p
	}
	switch {
	case strings.HasPrefix(p, `\\?\UNC\`):
		p = `\\` + p[8:]
	case len(p) > 5 && strings.HasPrefix(p, `\\?\`) && p[5] == ':':
		p = p[4:]
	}
	if len(p) > 1 && p[1] == ':' {
		p = strings.ToUpper(p[:1]) + p[1:]
	}
	return p
}

func (o *Options) readList(name string) ([]byte, error) {
	if name == "-" && o.Stdin != nil {
		content, err := io.ReadAll(o.Stdin)
		if err != nil {
			return nil, fmt.Errorf("read the list of files from standard input: %w", err)
		}
		return content, nil
	}
	content, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read the list of files: %w", unlessMissing(err))
	}
	return content, nil
}

// unlessMissing makes a file that the user names and that is not there an error of usage.
func unlessMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errs.As(errs.Usage, err)
	}
	return err
}

// splitPath cuts a clean absolute path into components. On Windows the volume is the first of them.
func splitPath(p string) []string {
	volume := filepath.VolumeName(p)
	p = filepath.ToSlash(p[len(volume):])
	var parts []string
	if volume != "" {
		parts = append(parts, volume)
	}
	for c := range strings.SplitSeq(p, "/") {
		if c != "" {
			parts = append(parts, c)
		}
	}
	return parts
}
