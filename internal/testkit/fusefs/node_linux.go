package fusefs

import (
	"context"
	"path"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// node is an object of the tree.
type node struct {
	fs.Inode
	fs   *FS
	path string
}

var (
	_ fs.NodeLookuper       = (*node)(nil)
	_ fs.NodeGetattrer      = (*node)(nil)
	_ fs.NodeOpendirHandler = (*node)(nil)
	_ fs.NodeReaddirer      = (*node)(nil)
	_ fs.NodeOpener         = (*node)(nil)
	_ fs.NodeReader         = (*node)(nil)
	_ fs.NodeListxattrer    = (*node)(nil)
	_ fs.NodeGetxattrer     = (*node)(nil)
	_ fs.FileReaddirenter   = (*dirHandle)(nil)
	_ fs.FileReleasedirer   = (*dirHandle)(nil)
	_ fs.NodeStatfser       = (*node)(nil)
)

// epoch is the time of everything.
const epoch = 1_700_000_000

func (n *node) attr(out *fuse.Attr) {
	content := n.fs.files[n.path]
	out.Mode, out.Nlink = fuse.S_IFDIR|0o755, 2
	if content != nil {
		out.Mode, out.Nlink, out.Size = fuse.S_IFREG|0o644, 1, uint64(len(content))
	}
	out.Mtime, out.Ctime, out.Atime = epoch, epoch, epoch
	out.Blocks = (out.Size + 511) / 512
}

func (n *node) Statfs(context.Context, *fuse.StatfsOut) syscall.Errno { return 0 }

func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	p := path.Join(n.path, name)
	if errno := n.fs.fails(p, Lookup, 0); errno != 0 {
		return nil, errno
	}
	content, ok := n.fs.files[p]
	if !ok {
		return nil, syscall.ENOENT
	}
	child := &node{fs: n.fs, path: p}
	child.attr(&out.Attr)
	mode := uint32(fuse.S_IFDIR)
	if content != nil {
		mode = fuse.S_IFREG
	}
	return n.NewInode(ctx, child, fs.StableAttr{Mode: mode}), 0
}

func (n *node) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	if errno := n.fs.fails(n.path, Getattr, 0); errno != 0 {
		return errno
	}
	n.attr(&out.Attr)
	return 0
}

// dirHandle reads the names of a directory.
type dirHandle struct {
	n     *node
	names []string
	at    int
}

func (n *node) OpendirHandle(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	if errno := n.fs.fails(n.path, OpenDir, 0); errno != 0 {
		return nil, 0, errno
	}
	return &dirHandle{n: n, names: n.fs.children(n.path)}, 0, 0
}

// Readdir is not used where OpendirHandle gives a handle.
func (n *node) Readdir(context.Context) (fs.DirStream, syscall.Errno) { return nil, syscall.ENOSYS }

func (d *dirHandle) Readdirent(context.Context) (*fuse.DirEntry, syscall.Errno) {
	if errno := d.n.fs.fails(d.n.path, ReadDir, d.at); errno != 0 {
		return nil, errno
	}
	if d.at == len(d.names) {
		return nil, 0
	}
	name := d.names[d.at]
	d.at++
	mode := uint32(fuse.S_IFDIR)
	if d.n.fs.files[path.Join(d.n.path, name)] != nil {
		mode = fuse.S_IFREG
	}
	return &fuse.DirEntry{Name: name, Mode: mode, Off: uint64(d.at)}, 0
}

func (d *dirHandle) Releasedir(context.Context, uint32) {}

func (n *node) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	if errno := n.fs.fails(n.path, Open, 0); errno != 0 {
		return nil, 0, errno
	}
	return nil, fuse.FOPEN_DIRECT_IO, 0 // short answers reach the reader
}

func (n *node) Read(_ context.Context, _ fs.FileHandle, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	content := n.fs.files[n.path]
	if errno := n.fs.fails(n.path, Read, int(off)); errno != 0 {
		return nil, errno
	}
	content = content[min(off, int64(len(content))):]
	n.fs.mu.Lock()
	limit, ok := n.fs.short[n.path]
	for _, x := range n.fs.faults { // a read stops where the next one will fail
		if x.op == Read && x.path == n.path && x.times != 0 {
			limit, ok = max(x.after-int(off), 1), true
		}
	}
	n.fs.mu.Unlock()
	if ok && len(content) > limit {
		content = content[:limit]
	}
	return fuse.ReadResultData(content[:min(len(content), len(dest))]), 0
}

func (n *node) Listxattr(context.Context, []byte) (uint32, syscall.Errno) {
	return 0, n.fs.fails(n.path, ListXattrs, 0)
}

func (n *node) Getxattr(context.Context, string, []byte) (uint32, syscall.Errno) {
	return 0, syscall.ENODATA
}
