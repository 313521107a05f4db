// Package attrs is about the attributes of file-system objects: the words in which a source says what it stores and a
// sink says what it restores. The table "per system: attribute x" of the documentation is made from these words, and
// sinks count by them what they could not restore.
package attrs

import "strings"

// Attribute is one thing that a file-system object has beside its name.
type Attribute uint8

// The attributes, in the order of the table.
const (
	Content      Attribute = iota // the bytes of regular files
	Holes                         // stretches that were never written
	ModTime                       // time of the last change of the content
	Mode                          // permission and sticky bits
	ReadOnly                      // whether nobody may write to a file
	SetID                         // set-user-id and set-group-id bits of files
	Owner                         // numeric owner and group
	OwnerNames                    // names of owner and group
	HardLinks                     // several names of one file
	Symlinks                      // symbolic links
	FIFOs                         // named pipes
	Sockets                       // the names of sockets
	Devices                       // character and block devices
	Xattrs                        // extended attributes
	ACLs                          // POSIX access control lists
	Capabilities                  // file capabilities
	Flags                         // inode flags: immutable, append only, no dump and the like
	Hidden                        // Windows' attributes hidden and system
	ProjectID                     // the quota project
	AnyNames                      // names of any bytes
	LongPaths                     // paths longer than the system's limit for one call
	ChangeTime                    // time of the last change of metadata
	BirthTime                     // time of creation
	count
)

var names = [count]string{
	"content", "holes (sparse files)", "modification time", "mode", "write protection of files", "set-id bits",
	"owner and group (numbers)", "owner and group (names)", "hard links", "symbolic links", "FIFOs", "sockets", "devices", "extended attributes",
	"POSIX ACLs", "file capabilities", "inode flags", "hidden and system", "project id", "names of any bytes",
	"paths beyond PATH_MAX", "change time", "birth time",
}

func (a Attribute) String() string { return names[a] }

// All returns every attribute in the order of the table.
func All() []Attribute {
	all := make([]Attribute, count)
	for i := range all {
		all[i] = Attribute(i)
	}
	return all
}

// Set is a set of attributes.
type Set uint32

// Of makes the set of the given attributes.
func Of(as ...Attribute) Set {
	var s Set
	for _, a := range as {
		s |= 1 << a
	}
	return s
}

// Has reports whether a is in s.
func (s Set) Has(a Attribute) bool { return s&(1<<a) != 0 }

// Table renders, for each system in order, whether an attribute is restored, only stored, or lost, as Markdown.
func Table(systems []string, stored, restored func(system string) Set) string {
	var b strings.Builder
	b.WriteString("| attribute |")
	for _, sys := range systems {
		b.WriteString(" " + sys + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(systems)) + "\n")
	for _, a := range All() {
		b.WriteString("| " + a.String() + " |")
		for _, sys := range systems {
			switch in, out := stored(sys).Has(a), restored(sys).Has(a); {
			case in && out:
				b.WriteString(" restored |")
			case in:
				b.WriteString(" stored |")
			default:
				b.WriteString(" lost |")
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}
