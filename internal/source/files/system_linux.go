//go:build !portable

package files

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kind says what is known of a type of file system.
type kind struct {
	name string
	flag kindFlags
}

type kindFlags uint8

const (
	untrusted kindFlags = 1 << iota // inode numbers are made up by a server, a process, or on mounting
	stableID                        // f_fsid comes from the file system's own UUID
	remote                          // it is known by what is mounted
	passing                         // it is made anew, and empty, at every mount
)

// kinds are the file systems that are treated specially, by their magic number.
var kinds = map[uint32]kind{
	0xef53:     {"ext4", stableID},
	0x9123683e: {"btrfs", stableID}, // with the subvolume
	0x2fc12fc1: {"zfs", stableID},
	0xca451a4e: {"bcachefs", stableID},
	0x58465342: {"xfs", 0},
	0xf2f52010: {"f2fs", 0},
	0x01021994: {"tmpfs", passing},
	0x858458f6: {"ramfs", passing},
	0x9fa0:     {"proc", passing},
	0x62656572: {"sysfs", passing},
	0x794c7630: {"overlay", 0},
	0x9660:     {"iso9660", 0},
	0x15013346: {"udf", 0},
	0x73717368: {"squashfs", 0},
	0xe0f5e1e2: {"erofs", 0},
	0x4d44:     {"vfat", untrusted},
	0x2011bab0: {"exfat", untrusted},
	0x65735546: {"fuse", untrusted | remote},
	0x6969:     {"nfs", untrusted | remote},
	0xfe534d42: {"smb2", untrusted | remote},
	0xff534d42: {"cifs", untrusted | remote},
	0x517b:     {"smb", untrusted | remote},
	0x01021997: {"9p", untrusted | remote},
	0x00c36400: {"ceph", untrusted | remote},
	0x5346414f: {"openafs", untrusted | remote},
	0x6b414653: {"afs", untrusted | remote},
	0x73757245: {"coda", untrusted | remote},
	0x564c:     {"ncp", untrusted | remote},
	0x0bd00bd0: {"lustre", untrusted | remote},
	0x19830326: {"beegfs", untrusted | remote},
	0x20030528: {"orangefs", untrusted | remote},
	0x786f4256: {"vboxsf", untrusted | remote},
	0xbacbacbc: {"vmhgfs", untrusted | remote},
	0x7c7c6673: {"prlfs", untrusted | remote},
}

// identify finds the identity of the file system that holds a name: from the type's own identifier where that is made
// of its UUID, else the UUID (asked of the kernel, or found in /dev/disk/by-uuid), else what is mounted, else the
// identifier whatever it is made of.
func identify(sys *system, dirfd int, name *byte, follow bool) {
	flags := unix.O_PATH
	if !follow {
		flags |= unix.O_NOFOLLOW
	}
	fd, errno := openat(dirfd, name, flags)
	if errno != 0 {
		return
	}
	defer closeFD(fd)
	var st unix.Statfs_t
	if err := retryEINTR(func() error { return unix.Fstatfs(fd, &st) }); err != nil {
		return
	}
	k, known := kinds[uint32(st.Type)]
	if !known {
		k = kind{name: fmt.Sprintf("%x", uint32(st.Type))}
	}
	sys.trusted = k.flag&untrusted == 0
	fsid := uint64(uint32(st.Fsid.Val[0])) | uint64(uint32(st.Fsid.Val[1]))<<32
	if k.flag&stableID != 0 && fsid != 0 {
		sys.id = fmt.Sprintf("%s:%016x", k.name, fsid)
		return
	}
	m := findMount(sys.dev)
	if k.flag&remote != 0 {
		sys.id = fmt.Sprintf("%s:%s", k.name, m.source)
		if m.fstype != "" {
			sys.id = fmt.Sprintf("%s:%s", m.fstype, m.source)
		}
		sys.id = sys.id[:min(len(sys.id), maxSystemID)]
		return
	}
	uuid := ""
	if k.flag&passing == 0 {
		if uuid = askUUID(dirfd, name, m); uuid == "" {
			uuid = diskUUID(sys.dev)
		}
	}
	switch {
	case uuid != "":
		// The kernel and udev write it in two ways.
		sys.id = k.name + ":" + strings.ToLower(strings.ReplaceAll(uuid, "-", ""))
	case fsid != 0 && k.flag&passing == 0:
		sys.id = fmt.Sprintf("%s:%016x", k.name, fsid)
	default:
		sys.id = k.name + ":" + m.source
		sys.id = sys.id[:min(len(sys.id), maxSystemID)]
	}
}

const maxSystemID = 200

// fsUUID is struct fsuuid2 of FS_IOC_GETFSUUID.
type fsUUID struct {
	len  uint8
	uuid [16]byte
}

const iocGetFSUUID = 0x80111500

// askUUID asks the kernel for the UUID, by the directory at hand or by the mount point.
func askUUID(dirfd int, name *byte, m mount) string {
	fd, errno := openat(dirfd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK)
	if errno != 0 {
		if m.point == "" {
			return ""
		}
		point := append([]byte(m.point), 0)
		if fd, errno = openat(unix.AT_FDCWD, &point[0], unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK); errno != 0 {
			return ""
		}
	}
	defer closeFD(fd)
	var u fsUUID
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), iocGetFSUUID, uintptr(unsafe.Pointer(&u))); errno != 0 || u.len == 0 {
		return ""
	}
	return hex.EncodeToString(u.uuid[:min(int(u.len), len(u.uuid))])
}

// diskUUID looks for the device among the links that udev makes.
func diskUUID(dev uint64) string {
	const dir = "/dev/disk/by-uuid"
	links, err := os.ReadDir(dir)
	if err != nil {
		return ""
	}
	for _, l := range links {
		var st unix.Stat_t
		if unix.Stat(filepath.Join(dir, l.Name()), &st) == nil && joinDev(unix.Major(st.Rdev), unix.Minor(st.Rdev)) == dev {
			return l.Name()
		}
	}
	return ""
}

// mount is a line of mountinfo.
type mount struct{ fstype, source, point string }

// findMount looks for the file system of a device in the mount table.
func findMount(dev uint64) mount {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return mount{}
	}
	want := fmt.Sprintf("%d:%d", dev>>32, uint32(dev))
	for line := range bytes.SplitSeq(table, []byte("\n")) {
		f := strings.Fields(string(line))
		sep := 6
		for sep < len(f) && f[sep] != "-" {
			sep++
		}
		if len(f) >= 10 && sep+2 < len(f) && f[2] == want {
			return mount{fstype: f[sep+1], source: unescape(f[sep+2]), point: unescape(f[4])}
		}
	}
	return mount{}
}

// unescape undoes the octal escapes of the mount table.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b []byte
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			b = append(b, (s[i+1]-'0')<<6|(s[i+2]-'0')<<3|(s[i+3]-'0'))
			i += 3
			continue
		}
		b = append(b, s[i])
	}
	return string(b)
}

func retryEINTR(call func() error) error {
	for {
		if err := call(); err != unix.EINTR { //nolint:errorlint // a bare errno
			return err
		}
	}
}
