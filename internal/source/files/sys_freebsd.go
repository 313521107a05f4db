//go:build !portable

package files

import (
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/nacre-backup/nacre/internal/tree"
)

func (r *rec) fromSystem(fi fs.FileInfo) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return
	}
	r.uid, r.gid, r.nlink = st.Uid, st.Gid, uint32(st.Nlink)
	r.ino, r.dev, r.blocks = st.Ino, st.Dev, uint64(st.Blocks)
	r.ctime, r.ctimeNsec = int64(st.Ctimespec.Sec), uint32(st.Ctimespec.Nsec)
	r.btime, r.btimeNsec, r.knownBirth = int64(st.Birthtimespec.Sec), uint32(st.Birthtimespec.Nsec), true
	if r.typ == tree.CharDevice || r.typ == tree.BlockDevice {
		r.major, r.minor = unix.Major(st.Rdev), unix.Minor(st.Rdev)
	}
}
