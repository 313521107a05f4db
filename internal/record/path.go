package record

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
)

// The folders of control objects, each with its closing slash.
const (
	Sessions   = "sessions/"
	Fates      = "fates/"
	Tombstones = "tombstones/"
	Condemns   = "condemned/"
	Eras       = "era/"
	Rings      = "ring/"
	Keys       = "keys/"
	Indexes    = "index/"
	Data       = "data/"
	Meta       = "meta/"
	Duplicates = "dup/"
	Quarantine = "quarantine/"
)

// SessionPath is where the session's record stands.
func SessionPath(era uint32, sid id.Session) string {
	return fmt.Sprintf("%s%08x/%s", Sessions, era, sid)
}

// HeartbeatPath is where heartbeat k of the session stands.
func HeartbeatPath(era uint32, sid id.Session, k uint32) string {
	return fmt.Sprintf("%s%08x/%s.%08x", Sessions, era, sid, k)
}

// FatePath is where the session's fate stands: the commit point.
func FatePath(era uint32, sid id.Session) string {
	return fmt.Sprintf("%s%08x/%s", Fates, era, sid)
}

// IntentPath is where a killer announces itself in the register class.
func IntentPath(era uint32, sid, killer id.Session) string {
	return fmt.Sprintf("%s%08x/%s.intent.%s", Fates, era, sid, killer)
}

// KilledPath is where a killer says in the register class that it found no fate.
func KilledPath(era uint32, sid id.Session) string {
	return fmt.Sprintf("%s%08x/%s.killed", Fates, era, sid)
}

// TombstonePath is where the tombstone of the session's snapshot stands.
func TombstonePath(sid id.Session) string { return Tombstones + sid.String() }

// CondemnedPath is where the condemn record of that id stands.
func CondemnedPath(gid id.Session) string { return Condemns + gid.String() }

// WaitPath is where the sessions stand that the condemn record's pruner waits for.
func WaitPath(gid id.Session) string { return Condemns + gid.String() + ".wait" }

// IndexPath is where the index object of that name stands.
func IndexPath(n id.Name) string { return Indexes + n.String() }

// DupPath is where the second copy of the object at path stands.
func DupPath(path string) string { return Duplicates + path }

// PathKind says what stands at a path of sessions/ or fates/.
type PathKind uint8

// The kinds of path.
const (
	OtherPath     PathKind = iota // none of the others: a later version's, or rubbish
	SessionObject                 // sessions/<era>/<sid>
	Heartbeat                     // sessions/<era>/<sid>.<k>
	FateObject                    // fates/<era>/<sid>
	IntentObject                  // fates/<era>/<sid>.intent.<killer>
	KilledObject                  // fates/<era>/<sid>.killed
)

// Place is a path of sessions/ or fates/ taken apart.
type Place struct {
	Kind    PathKind
	Era     uint32
	Session id.Session
	Count   uint32     // of a heartbeat
	Killer  id.Session // of an intent
}

// ParsePlace takes a path of sessions/ or fates/ apart. What it does not know has kind OtherPath.
func ParsePlace(path string) Place {
	var p Place
	rest, fates := strings.CutPrefix(path, Fates)
	if !fates {
		var ok bool
		if rest, ok = strings.CutPrefix(path, Sessions); !ok {
			return p
		}
	}
	era, last, ok := strings.Cut(rest, "/")
	if !ok {
		return p
	}
	e, ok := parseHex8(era)
	if !ok {
		return p
	}
	head, tail, dotted := strings.Cut(last, ".")
	sid, err := id.ParseSession(head)
	if err != nil {
		return p
	}
	q := Place{Era: e, Session: sid}
	killer, isIntent := strings.CutPrefix(tail, "intent.")
	switch {
	case !dotted && fates:
		q.Kind = FateObject
	case !dotted:
		q.Kind = SessionObject
	case !fates:
		if q.Count, ok = parseHex8(tail); !ok {
			return p
		}
		q.Kind = Heartbeat
	case tail == "killed":
		q.Kind = KilledObject
	case isIntent:
		if q.Killer, err = id.ParseSession(killer); err != nil {
			return p
		}
		q.Kind = IntentObject
	default:
		return p
	}
	return q
}

// parseHex8 reads eight lower-case hexadecimal digits.
func parseHex8(s string) (uint32, bool) {
	if len(s) != 8 || strings.ToLower(s) != s {
		return 0, false
	}
	v, err := strconv.ParseUint(s, 16, 32)
	return uint32(v), err == nil && s[0] != '+'
}

// Pack names one pack and says how long it is. Class is 'D' or 'M'.
type Pack struct {
	Class   byte
	Session id.Session // whose folder it stands in
	N       uint32     // its number there, counted for each class
	Size    int64
	Name    id.Name
}

// Path is where the pack stands: data/<sid>/<n>-<name> or meta/<sid>/<n>-<name>.
func (p Pack) Path() string {
	folder := Data
	if p.Class == 'M' {
		folder = Meta
	}
	return fmt.Sprintf("%s%s/%08x-%s", folder, p.Session, p.N, p.Name)
}

// ParsePack takes the path of a pack apart.
func ParsePack(path string, size int64) (Pack, error) {
	p := Pack{Class: 'D', Size: size}
	rest, ok := strings.CutPrefix(path, Data)
	if !ok {
		p.Class = 'M'
		rest, ok = strings.CutPrefix(path, Meta)
	}
	sid, last, ok2 := strings.Cut(rest, "/")
	n, name, ok3 := strings.Cut(last, "-")
	if !ok || !ok2 || !ok3 {
		return Pack{}, errs.New(errs.Corrupt, "path %q is not a pack's", path)
	}
	var err error
	if p.Session, err = id.ParseSession(sid); err != nil {
		return Pack{}, errs.As(errs.Corrupt, fmt.Errorf("path %q of a pack: %w", path, err))
	}
	if p.Name, err = id.ParseName(name); err != nil {
		return Pack{}, errs.As(errs.Corrupt, fmt.Errorf("path %q of a pack: %w", path, err))
	}
	if p.N, ok = parseHex8(n); !ok || size < 0 {
		return Pack{}, errs.New(errs.Corrupt, "path %q of a pack: its number is not eight hexadecimal digits", path)
	}
	return p, nil
}
