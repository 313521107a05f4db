package tree

import "bytes"

// Key is the place of an entry in the map: the directory that holds it and its name there. Dir is the path from the
// top without a leading slash, components joined by '/': "" for the top itself. The top's own metadata is the entry
// ("", "").
type Key struct {
	Dir  []byte
	Name []byte
}

// Compare orders keys: by directory (CompareDir), then by the raw bytes of the name.
func (k Key) Compare(o Key) int {
	if c := CompareDir(k.Dir, o.Dir); c != 0 {
		return c
	}
	return bytes.Compare(k.Name, o.Name)
}

// CompareDir orders directory paths component by component, each by its raw bytes, a path before those below it. It
// is the byte order of the joined paths with '/' counted below every other byte.
func CompareDir(a, b []byte) int {
	n := min(len(a), len(b))
	for i := 0; i < n; i++ {
		if a[i] == b[i] {
			continue
		}
		switch {
		case a[i] == '/':
			return -1
		case b[i] == '/':
			return 1
		case a[i] < b[i]:
			return -1
		default:
			return 1
		}
	}
	return len(a) - len(b)
}

// JoinPath appends the path of the entry name in directory dir to dst: the two joined by '/', or name alone at the
// top.
func JoinPath(dst, dir, name []byte) []byte {
	dst = append(dst, dir...)
	if len(dir) > 0 && len(name) > 0 {
		dst = append(dst, '/')
	}
	return append(dst, name...)
}

// Below reports whether dir is at or below top.
func Below(dir, top []byte) bool {
	return len(top) == 0 || bytes.HasPrefix(dir, top) && (len(dir) == len(top) || dir[len(top)] == '/')
}
