package tree

// Bits of Entry.FSFlags. They are those of Linux's FS_IOC_GETFLAGS; a source on another system translates what its
// system has into them, so that a flag of one system is never taken for another one's. FlagHidden and FlagSystem stand
// where Linux has states of its own that no file keeps.
const (
	FlagImmutable = 0x10  // nobody may change it
	FlagAppend    = 0x20  // it may only grow
	FlagNoDump    = 0x40  // not to be backed up
	FlagHidden    = 0x100 // Windows: not shown by default
	FlagSystem    = 0x200 // Windows: of the system
)
