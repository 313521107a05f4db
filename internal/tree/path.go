package tree

import (
	"bytes"
	"slices"
)

// path is a directory as a stack of components: the joined bytes and where each component ends. It is at most
// maxPath bytes and maxDepth components.
type path struct {
	buf  []byte
	ends []int
}

// set makes p the joined path dir.
func (p *path) set(dir []byte) {
	p.buf = append(p.buf[:0], dir...)
	p.ends = p.ends[:0]
	if len(dir) == 0 {
		return
	}
	for i := 0; ; {
		j := bytes.IndexByte(dir[i:], '/')
		if j < 0 {
			break
		}
		p.ends = append(p.ends, i+j)
		i += j + 1
	}
	p.ends = append(p.ends, len(dir))
}

func (p *path) copyFrom(o *path) {
	p.buf = append(p.buf[:0], o.buf...)
	p.ends = append(p.ends[:0], o.ends...)
}

func (p *path) clone() path { return path{buf: bytes.Clone(p.buf), ends: slices.Clone(p.ends)} }

func (p *path) depth() int { return len(p.ends) }

// prefix returns the joined first n components.
func (p *path) prefix(n int) []byte {
	if n == 0 {
		return p.buf[:0:0]
	}
	return p.buf[:p.ends[n-1]:p.ends[n-1]]
}

// component returns component i.
func (p *path) component(i int) []byte {
	if i == 0 {
		return p.buf[:p.ends[0]]
	}
	return p.buf[p.ends[i-1]+1 : p.ends[i]]
}

// depthAt returns how many components make up the first n bytes, if a component ends there.
func (p *path) depthAt(n int) (int, bool) {
	if n == 0 {
		return 0, true
	}
	k, ok := slices.BinarySearch(p.ends, n)
	return k + 1, ok
}

// last returns the last component, nothing at the top.
func (p *path) last() []byte {
	if len(p.ends) == 0 {
		return nil
	}
	return p.component(len(p.ends) - 1)
}

func (p *path) truncate(n int) {
	p.buf = p.buf[:len(p.prefix(n))]
	p.ends = p.ends[:n]
}

func (p *path) push(c []byte) {
	if len(p.ends) > 0 {
		p.buf = append(p.buf, '/')
	}
	p.buf = append(p.buf, c...)
	p.ends = append(p.ends, len(p.buf))
}

// common returns how many components p and o have in common from the top.
func (p *path) common(o *path) int {
	n := min(len(p.ends), len(o.ends))
	// Most neighbours agree in all but the last component, so the longest candidate is tried first.
	for k := n; k > 0; k-- {
		if p.ends[k-1] == o.ends[k-1] && bytes.Equal(p.buf[:p.ends[k-1]], o.buf[:o.ends[k-1]]) {
			return k
		}
		if n-k >= 2 {
			break
		}
	}
	k := 0
	for k < n && bytes.Equal(p.component(k), o.component(k)) {
		k++
	}
	return k
}

// depthOf returns the number of components of a joined path.
func depthOf(dir []byte) int {
	if len(dir) == 0 {
		return 0
	}
	return 1 + bytes.Count(dir, []byte{'/'})
}

// lastComponent returns what follows the last '/' of a joined path.
func lastComponent(dir []byte) []byte { return dir[bytes.LastIndexByte(dir, '/')+1:] }

// splitPath splits a joined path into its parent and its last component.
func splitPath(p []byte) (dir, name []byte) {
	i := bytes.LastIndexByte(p, '/')
	if i < 0 {
		return nil, p
	}
	return p[:i], p[i+1:]
}

// goodName reports whether b can be a component or a name.
func goodName(b []byte) bool {
	if len(b) == 0 || len(b) > maxName || b[0] == '.' && (len(b) == 1 || len(b) == 2 && b[1] == '.') {
		return false
	}
	return !badByte(b)
}

func badByte(b []byte) bool {
	if len(b) < 64 {
		for _, c := range b {
			if c == '/' || c == 0 {
				return true
			}
		}
		return false
	}
	return bytes.IndexByte(b, '/') >= 0 || bytes.IndexByte(b, 0) >= 0
}
