package files

import "github.com/nacre-backup/nacre/internal/attrs"

// Stored returns the attributes that this package records on a system, named as in runtime.GOOS. The table in
// README.md is made from it.
func Stored(goos string) attrs.Set {
	// What package os tells on every system.
	everywhere := attrs.Of(attrs.Content, attrs.ModTime, attrs.Symlinks)
	// Beside it, what fromSystem and describePath of the BSDs take.
	bsd := everywhere | attrs.Of(attrs.Mode, attrs.SetID, attrs.Owner, attrs.OwnerNames, attrs.HardLinks, attrs.FIFOs,
		attrs.Sockets, attrs.Devices, attrs.Xattrs, attrs.Flags, attrs.AnyNames, attrs.ChangeTime, attrs.BirthTime)
	switch goos {
	case "linux":
		return attrs.Of(attrs.All()...)
	case "darwin", "freebsd":
		return bsd
	}
	return everywhere
}
