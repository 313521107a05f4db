package faultfs

import (
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// raw stands between the kernel and the folder.
type raw struct {
	fuse.RawFileSystem
	f *FS
}

func (r *raw) Lookup(c <-chan struct{}, h *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	if s := r.f.on("lookup", h.NodeId, name); s != fuse.OK {
		return s
	}
	s := r.RawFileSystem.Lookup(c, h, name, out)
	if s == fuse.OK {
		r.f.learn(out.NodeId, r.f.join(h.NodeId, name))
	}
	return s
}

func (r *raw) GetAttr(c <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	if s := r.f.on("getattr", in.NodeId, ""); s != fuse.OK {
		return s
	}
	return r.RawFileSystem.GetAttr(c, in, out)
}

// Statx is left to GetAttr.
func (r *raw) Statx(<-chan struct{}, *fuse.StatxIn, *fuse.StatxOut) fuse.Status { return fuse.ENOSYS }

func (r *raw) SetAttr(c <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	if s := r.f.on("setattr", in.NodeId, ""); s != fuse.OK {
		return s
	}
	return r.RawFileSystem.SetAttr(c, in, out)
}

func (r *raw) Mkdir(c <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	if s := r.f.on("mkdir", in.NodeId, name); s != fuse.OK {
		return s
	}
	s := r.RawFileSystem.Mkdir(c, in, name, out)
	if s == fuse.OK {
		r.f.learn(out.NodeId, r.f.join(in.NodeId, name))
	}
	return s
}

func (r *raw) Unlink(c <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	if s := r.f.on("unlink", h.NodeId, name); s != fuse.OK {
		return s
	}
	return r.RawFileSystem.Unlink(c, h, name)
}

func (r *raw) Rmdir(c <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	if s := r.f.on("rmdir", h.NodeId, name); s != fuse.OK {
		return s
	}
	return r.RawFileSystem.Rmdir(c, h, name)
}

func (r *raw) Rename(c <-chan struct{}, in *fuse.RenameIn, oldName, newName string) fuse.Status {
	op := "rename"
	if in.Flags != 0 {
		op = "rename2"
	}
	if s := r.f.on(op, in.Newdir, newName); s != fuse.OK {
		return s
	}
	return r.RawFileSystem.Rename(c, in, oldName, newName)
}

func (r *raw) Link(c <-chan struct{}, in *fuse.LinkIn, name string, out *fuse.EntryOut) fuse.Status {
	if s := r.f.on("link", in.NodeId, name); s != fuse.OK {
		return s
	}
	return r.RawFileSystem.Link(c, in, name, out)
}

func (r *raw) Symlink(c <-chan struct{}, h *fuse.InHeader, target, name string, out *fuse.EntryOut) fuse.Status {
	if s := r.f.on("symlink", h.NodeId, name); s != fuse.OK {
		return s
	}
	return r.RawFileSystem.Symlink(c, h, target, name, out)
}

func (r *raw) Create(c <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	if s := r.f.on("create", in.NodeId, name); s != fuse.OK {
		return s
	}
	s := r.RawFileSystem.Create(c, in, name, out)
	if s == fuse.OK {
		r.f.learn(out.NodeId, r.f.join(in.NodeId, name))
	}
	return s
}

func (r *raw) Open(c <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	if s := r.f.on("open", in.NodeId, ""); s != fuse.OK {
		return s
	}
	return r.RawFileSystem.Open(c, in, out)
}

func (r *raw) Read(c <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	if s := r.f.on("read", in.NodeId, ""); s != fuse.OK {
		return nil, s
	}
	return r.RawFileSystem.Read(c, in, buf)
}

func (r *raw) Write(c <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	call := Call{Op: "write", Path: r.f.join(in.NodeId, ""), Direct: in.Flags&syscall.O_DIRECT != 0}
	if s := r.f.judge(call); s != fuse.OK {
		return 0, s
	}
	return r.RawFileSystem.Write(c, in, data)
}

func (r *raw) Writev(c <-chan struct{}, in *fuse.WriteIn, data [][]byte) (uint32, fuse.Status) {
	call := Call{Op: "write", Path: r.f.join(in.NodeId, ""), Direct: in.Flags&syscall.O_DIRECT != 0}
	if s := r.f.judge(call); s != fuse.OK {
		return 0, s
	}
	return r.RawFileSystem.Writev(c, in, data)
}

func (r *raw) Flush(c <-chan struct{}, in *fuse.FlushIn) fuse.Status {
	if s := r.f.on("flush", in.NodeId, ""); s != fuse.OK {
		return s
	}
	return r.RawFileSystem.Flush(c, in)
}

func (r *raw) Fsync(c <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	if s := r.f.on("fsync", in.NodeId, ""); s != fuse.OK {
		return s
	}
	return r.RawFileSystem.Fsync(c, in)
}

func (r *raw) OpenDir(c <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	if s := r.f.on("opendir", in.NodeId, ""); s != fuse.OK {
		return s
	}
	return r.RawFileSystem.OpenDir(c, in, out)
}

func (r *raw) ReadDir(c <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	if s := r.f.on("readdir", in.NodeId, ""); s != fuse.OK {
		return s
	}
	return r.RawFileSystem.ReadDir(c, in, out)
}

func (r *raw) FsyncDir(c <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	if s := r.f.on("fsyncdir", in.NodeId, ""); s != fuse.OK {
		return s
	}
	return r.RawFileSystem.FsyncDir(c, in)
}

func (r *raw) StatFs(c <-chan struct{}, h *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	if s := r.f.on("statfs", h.NodeId, ""); s != fuse.OK {
		return s
	}
	return r.RawFileSystem.StatFs(c, h, out)
}

func (r *raw) GetXAttr(c <-chan struct{}, h *fuse.InHeader, attr string, dest []byte) (uint32, fuse.Status) {
	if s := r.f.on("xattr", h.NodeId, ""); s != fuse.OK {
		return 0, s
	}
	return r.RawFileSystem.GetXAttr(c, h, attr, dest)
}
