package tree

import (
	"bytes"
	"cmp"
	"context"
	"slices"
)

// DirTable finds directories of a tree by file system and inode. It takes about 40 bytes and the name of each
// directory: 6 MB for 100,000 directories.
type DirTable struct {
	nodes []dirNode
	names []byte
	fs    []string
	order []uint32 // nodes with an inode, by (file system, inode)
}

// dirNode is a directory. Its name is names[name:] up to the next node's.
type dirNode struct {
	inode  uint64
	name   uint64
	parent uint32
	fs     uint32
}

const noParent = 1<<32 - 1

// openDir is a directory whose subtree the pass is in: its own node, and nodes[next:end] are its directories that
// were not entered yet.
type openDir struct {
	node      uint32
	next, end int
}

// NewDirTable reads all of t once. Damaged pages go to t.Lost.
func NewDirTable(ctx context.Context, t Tree) (*DirTable, error) {
	d := &DirTable{}
	stack := []openDir{{node: noParent}}
	var cur, dir path
	err := t.scan(ctx, Key{}, func(c *Cursor) (bool, error) {
		if !bytes.Equal(c.Dir(), cur.buf) {
			dir.set(c.Dir())
			stack = d.enter(stack, &cur, &dir)
			cur.copyFrom(&dir)
		}
		if e := c.Entry(); e.Type == Dir && len(e.Name) > 0 && uint64(len(d.nodes)) < noParent {
			top := &stack[len(stack)-1]
			d.add(top.node, e.Name, e.FS, e.Inode)
			top.end = len(d.nodes)
		}
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	for i := range d.nodes {
		if d.nodes[i].inode != 0 {
			d.order = append(d.order, uint32(i))
		}
	}
	slices.SortStableFunc(d.order, func(a, b uint32) int {
		x, y := &d.nodes[a], &d.nodes[b]
		return cmp.Or(cmp.Compare(x.fs, y.fs), cmp.Compare(x.inode, y.inode))
	})
	return d, nil
}

// enter changes the stack from directory cur to dir, which follows it in the tree. The directories' own entries came
// before in the same order; one that is missing, for a page is damaged, becomes a node without an inode.
func (d *DirTable) enter(stack []openDir, cur, dir *path) []openDir {
	k := cur.common(dir)
	stack = stack[:k+1]
	for ; k < dir.depth(); k++ {
		top, name := &stack[len(stack)-1], dir.component(k)
		for top.next < top.end && bytes.Compare(d.name(top.next), name) < 0 {
			top.next++
		}
		if top.next == top.end || !bytes.Equal(d.name(top.next), name) {
			d.add(top.node, name, "", 0)
			n := len(d.nodes)
			stack = append(stack, openDir{node: uint32(n - 1), next: n, end: n})
			continue
		}
		node := uint32(top.next)
		top.next++
		stack = append(stack, openDir{node: node, next: len(d.nodes), end: len(d.nodes)})
	}
	return stack
}

func (d *DirTable) add(parent uint32, name []byte, fs string, inode uint64) {
	i := slices.Index(d.fs, fs)
	if i < 0 {
		i = len(d.fs)
		d.fs = append(d.fs, fs)
	}
	d.nodes = append(d.nodes, dirNode{inode: inode, name: uint64(len(d.names)), parent: parent, fs: uint32(i)})
	d.names = append(d.names, name...)
}

func (d *DirTable) name(i int) []byte {
	end := uint64(len(d.names))
	if i+1 < len(d.nodes) {
		end = d.nodes[i+1].name
	}
	return d.names[d.nodes[i].name:end]
}

// Len returns the number of directories that can be found.
func (d *DirTable) Len() int { return len(d.order) }

// Find returns the path of the directory with that inode on that file system. Of several the first in key order
// counts. It may be called by several goroutines at once.
func (d *DirTable) Find(fs string, inode uint64) ([]byte, bool) {
	f := slices.Index(d.fs, fs)
	if f < 0 || inode == 0 {
		return nil, false
	}
	k, ok := slices.BinarySearchFunc(d.order, inode, func(n uint32, inode uint64) int {
		return cmp.Or(cmp.Compare(d.nodes[n].fs, uint32(f)), cmp.Compare(d.nodes[n].inode, inode))
	})
	if !ok {
		return nil, false
	}
	var parts [][]byte
	for n := d.order[k]; n != noParent; n = d.nodes[n].parent {
		parts = append(parts, d.name(int(n)))
	}
	slices.Reverse(parts)
	return bytes.Join(parts, []byte{'/'}), true
}
