package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/nacre-backup/nacre/internal/tree"
	"github.com/nacre-backup/nacre/internal/units"
)

// typeNames are the entry types in JSON and in messages.
var typeNames = map[tree.Type]string{
	tree.Dir: "directory", tree.File: "file", tree.Symlink: "symlink", tree.FIFO: "fifo", tree.Socket: "socket",
	tree.CharDevice: "char_device", tree.BlockDevice: "block_device",
}

// typeLetters are the first letters of ls -l.
var typeLetters = map[tree.Type]byte{
	tree.Dir: 'd', tree.File: '-', tree.Symlink: 'l', tree.FIFO: 'p', tree.Socket: 's', tree.CharDevice: 'c', tree.BlockDevice: 'b',
}

// modeString writes type and mode as ls -l does.
func modeString(e *tree.Entry) string {
	b := []byte("?rwxrwxrwx")
	if c, ok := typeLetters[e.Type]; ok {
		b[0] = c
	}
	for i := range 9 {
		if e.Mode&(1<<(8-i)) == 0 {
			b[1+i] = '-'
		}
	}
	for _, s := range []struct {
		bit  uint32
		at   int
		with byte // in the place of an x
		bare byte // in the place of a dash
	}{{0o4000, 3, 's', 'S'}, {0o2000, 6, 's', 'S'}, {0o1000, 9, 't', 'T'}} {
		if e.Mode&s.bit == 0 {
			continue
		}
		if b[s.at] == 'x' {
			b[s.at] = s.with
		} else {
			b[s.at] = s.bare
		}
	}
	return string(b)
}

func owner(name string, number uint32) string {
	if name != "" {
		return printable([]byte(name))
	}
	return fmt.Sprint(number)
}

func goTime(t tree.Time) time.Time { return time.Unix(t.Sec, int64(t.Nsec)) }

// longLine is an entry as ls -l shows it.
func longLine(e *tree.Entry, path, target []byte) string {
	size := units.Bytes(int64(min(e.Size, 1<<62)))
	switch e.Type {
	case tree.CharDevice, tree.BlockDevice:
		size = fmt.Sprintf("%d, %d", e.Major, e.Minor)
	case tree.File:
	default:
		size = "-"
	}
	modified := fmt.Sprintf("%19s", "-") // of ancestors of roots it is not known
	if !e.ModTime.IsZero() {
		modified = goTime(e.ModTime).Local().Format("2006-01-02 15:04:05")
	}
	line := fmt.Sprintf("%s %-8s %-8s %10s %s %s", modeString(e), owner(e.User, e.UID), owner(e.Group, e.GID), size, modified, printable(path))
	if e.Type == tree.Symlink {
		line += " -> " + printable(target)
	}
	return line + remarks(e)
}

// remarks are an entry's flags and error, for the end of its line.
func remarks(e *tree.Entry) (text string) {
	if f := flagNames(e.Flags); len(f) > 0 {
		text = "  [" + strings.Join(f, ", ") + "]"
	}
	if e.ErrClass != tree.ErrNone {
		text += "  [error: " + oneLine(e.ErrText) + "]"
	}
	return text
}

func flagNames(f tree.Flags) (names []string) {
	for _, n := range []struct {
		flag tree.Flags
		name string
	}{{tree.Implied, "implied"}, {tree.Stale, "stale"}, {tree.Torn, "torn"}, {tree.Partial, "partial"}} {
		if f&n.flag != 0 {
			names = append(names, n.name)
		}
	}
	return names
}

// nodeLine is an entry in JSON.
type nodeLine struct {
	jsonPath
	Type       string    `json:"kind"`
	Mode       string    `json:"mode"`
	UID        uint32    `json:"uid"`
	GID        uint32    `json:"gid"`
	User       string    `json:"user,omitempty"`
	Group      string    `json:"group,omitempty"`
	Size       uint64    `json:"size"`
	ModTime    string    `json:"mtime"`
	ChangeTime string    `json:"ctime,omitempty"`
	Links      uint32    `json:"links,omitempty"`
	Target     *jsonPath `json:"target,omitempty"`
	Device     string    `json:"device,omitempty"`
	Xattrs     []string  `json:"xattrs,omitempty"`
	Flags      []string  `json:"flags,omitempty"`
	Error      string    `json:"error,omitempty"`
}

func nodeJSON(e *tree.Entry, path, target []byte) nodeLine {
	n := nodeLine{
		jsonPath: pathJSON(path), Type: typeNames[e.Type], Mode: fmt.Sprintf("%04o", e.Mode), UID: e.UID, GID: e.GID,
		User: e.User, Group: e.Group, Size: e.Size, ModTime: goTime(e.ModTime).Format(time.RFC3339Nano),
		Flags: flagNames(e.Flags), Error: e.ErrText,
	}
	if !e.ChangeTime.IsZero() {
		n.ChangeTime = goTime(e.ChangeTime).Format(time.RFC3339Nano)
	}
	if e.Nlink > 1 {
		n.Links = e.Nlink
	}
	if e.Type == tree.Symlink {
		t := pathJSON(target)
		n.Target = &t
	}
	if e.Type == tree.CharDevice || e.Type == tree.BlockDevice {
		n.Device = fmt.Sprintf("%d:%d", e.Major, e.Minor)
	}
	for _, x := range e.Xattrs {
		n.Xattrs = append(n.Xattrs, strings.ToValidUTF8(string(x.Name), "\ufffd"))
	}
	return n
}
