package files

import "github.com/nacre-backup/nacre/internal/attrs"

// Stored returns the attributes that this package records on a system, named as in runtime.GOOS. The table in
// README.md is made from it.
func Stored(goos string) attrs.Set {
	// What package os tells on every system.
	everywhere := attrs.Of(attrs.Content, attrs.ModTime, attrs.ReadOnly, attrs.Symlinks)
	// Beside it, what fromSystem and describePath of the BSDs take.
	bsd := everywhere | attrs.Of(attrs.Mode, attrs.SetID, attrs.Owner, attrs.OwnerNames, attrs.HardLinks, attrs.FIFOs,
		attrs.Sockets, attrs.Devices, attrs.Xattrs, attrs.Flags, attrs.Hidden, attrs.AnyNames, attrs.ChangeTime, attrs.BirthTime)
	switch goos {
	case "linux":
		return attrs.Of(attrs.All()...) &^ attrs.Of(attrs.Hidden) // no file is hidden but by its name
	case "darwin":
		return bsd
	case "freebsd":
		return bsd | attrs.Of(attrs.Holes)
	case "windows":
		return everywhere | attrs.Of(attrs.HardLinks, attrs.Hidden, attrs.ChangeTime, attrs.BirthTime)
	}
	return everywhere
}
