package record

import (
	"github.com/nacre-backup/nacre/internal/id"
)

// Kind says what became of a session.
type Kind uint8

// The kinds of fate. The numbers stand in the format.
const (
	Commit     Kind = 1 + iota // a snapshot
	Checkpoint                 // a snapshot of an unfinished run
	Rescue                     // a pruner's session: packs copied, packs gone
	Compaction                 // index objects joined
	Ended                      // its own writer gave it up: nothing of it counts
	Killed                     // another gave it up for dead: nothing of it counts
)

var kindNames = [...]string{"", "commit", "checkpoint", "rescue", "compaction", "ended", "killed"}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

// Committed reports whether a fate of kind k makes the session's packs and index objects count.
func (k Kind) Committed() bool { return k >= Commit && k <= Compaction }

// Snapshot reports whether a fate of kind k carries a snapshot.
func (k Kind) Snapshot() bool { return k == Commit || k == Checkpoint }

// Head names a committed fate that a writer saw and that no other fate it saw names.
type Head struct {
	Session id.Session
	Hash    id.Name // B3 of the fate's bytes
}

// Fate is the outer part of a fate, which every writer can read. The inner part, sealed for readers, is a Snapshot
// where Kind.Snapshot says so; otherwise there is none.
type Fate struct {
	Path    string
	Writer  id.Writer // who signs it
	Session id.Session
	Era     uint32
	Kind    Kind
	Packs   []Pack    // that count from now on: the session's own and adopted ones
	Gone    []Pack    // that count no longer and are about to be deleted
	Indexes []id.Name // index objects that the session wrote
	// Replaces names index objects that nobody needs any more once this fate is there.
	Replaces []id.Name
	Heads    []Head
	Sequence uint64 // 1 + the largest that its writer saw
	Ring     uint32 // the ring generation that its writer knew
	Killer   id.Session
	Reason   string // for people: why a session ended or was killed
	Time     int64  // when it was written, by its writer's clock
}

type wirePack struct {
	_       struct{} `cbor:",toarray"`
	Class   uint8
	Session []byte // empty: the session whose record it stands in
	N       uint32
	Size    int64
	Name    bytes32
}

type wireHead struct {
	_       struct{} `cbor:",toarray"`
	Session bytes16
	Hash    bytes32
}

type wireFate struct {
	Path     string     `cbor:"1,keyasint"`
	Writer   bytes8     `cbor:"2,keyasint"`
	Session  bytes16    `cbor:"3,keyasint"`
	Era      uint32     `cbor:"4,keyasint,omitempty"`
	Kind     uint8      `cbor:"5,keyasint"`
	Packs    []wirePack `cbor:"6,keyasint,omitempty"`
	Gone     []wirePack `cbor:"7,keyasint,omitempty"`
	Indexes  []bytes32  `cbor:"8,keyasint,omitempty"`
	Replaces []bytes32  `cbor:"9,keyasint,omitempty"`
	Heads    []wireHead `cbor:"10,keyasint,omitempty"`
	Sequence uint64     `cbor:"11,keyasint,omitempty"`
	Ring     uint32     `cbor:"12,keyasint,omitempty"`
	Killer   bytes16    `cbor:"13,keyasint,omitzero"`
	Reason   string     `cbor:"14,keyasint,omitempty"`
	Time     int64      `cbor:"15,keyasint,omitempty"`
}

// Encode gives the fate's bytes.
func (f *Fate) Encode() ([]byte, error) {
	return marshal("fate", &wireFate{
		Path: f.Path, Writer: bytes8(f.Writer), Session: bytes16(f.Session), Era: f.Era, Kind: uint8(f.Kind),
		Packs: packsOut(f.Packs, f.Session), Gone: packsOut(f.Gone, f.Session),
		Indexes: namesOut(f.Indexes), Replaces: namesOut(f.Replaces),
		Heads:    convert(f.Heads, func(h Head) wireHead { return wireHead{Session: bytes16(h.Session), Hash: bytes32(h.Hash)} }),
		Sequence: f.Sequence, Ring: f.Ring, Killer: bytes16(f.Killer), Reason: text(f.Reason), Time: f.Time,
	})
}

// DecodeFate reads a fate's outer part.
func DecodeFate(b []byte) (*Fate, error) {
	var w wireFate
	if err := unmarshal("fate", b, &w); err != nil {
		return nil, err
	}
	f := &Fate{
		Path: w.Path, Writer: id.Writer(w.Writer), Session: id.Session(w.Session), Era: w.Era, Kind: Kind(w.Kind),
		Indexes: namesIn(w.Indexes), Replaces: namesIn(w.Replaces),
		Heads:    convert(w.Heads, func(h wireHead) Head { return Head{Session: id.Session(h.Session), Hash: id.Name(h.Hash)} }),
		Sequence: w.Sequence, Ring: w.Ring, Killer: id.Session(w.Killer), Reason: w.Reason, Time: w.Time,
	}
	if f.Kind < Commit || f.Kind > Killed {
		return nil, bad("fate", "kind %d is not known", w.Kind)
	}
	var err error
	if f.Packs, err = packsIn("fate", w.Packs, f.Session); err != nil {
		return nil, err
	}
	if f.Gone, err = packsIn("fate", w.Gone, f.Session); err != nil {
		return nil, err
	}
	return f, nil
}

func packsOut(in []Pack, own id.Session) []wirePack {
	return convert(in, func(p Pack) wirePack {
		w := wirePack{Class: p.Class, N: p.N, Size: p.Size, Name: bytes32(p.Name), Session: []byte{}}
		if p.Session != own {
			w.Session = p.Session[:]
		}
		return w
	})
}

func packsIn(what string, in []wirePack, own id.Session) ([]Pack, error) {
	var err error
	out := convert(in, func(w wirePack) Pack {
		p := Pack{Class: w.Class, Session: own, N: w.N, Size: w.Size, Name: id.Name(w.Name)}
		if len(w.Session) > 0 && fill(p.Session[:], w.Session) != nil {
			err = bad(what, "the session of pack %s has %d bytes", p.Name, len(w.Session))
		}
		if p.Class != 'D' && p.Class != 'M' || p.Size < 0 {
			err = bad(what, "pack %s has class %q and size %d", p.Name, p.Class, p.Size)
		}
		return p
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func namesOut(in []id.Name) []bytes32 {
	return convert(in, func(n id.Name) bytes32 { return bytes32(n) })
}

func namesIn(in []bytes32) []id.Name {
	return convert(in, func(n bytes32) id.Name { return id.Name(n) })
}

func sidsOut(in []id.Session) []bytes16 {
	return convert(in, func(n id.Session) bytes16 { return bytes16(n) })
}

func sidsIn(in []bytes16) []id.Session {
	return convert(in, func(n bytes16) id.Session { return id.Session(n) })
}
