package record

import "github.com/nacre-backup/nacre/internal/id"

// Use says what a session is for.
type Use uint8

// The uses. The numbers stand in the format.
const (
	Write Use = 1 + iota // a writer's: pruners wait for its fate
	Read                 // a reader's: pruners keep what it pins and do not wait
	Prune                // a pruner's rescue: it is waited for like a writer's
)

// Process says which process of which machine opened a session, so that a later run on that machine can tell whether
// it still lives. It is a hint: a killed session that lives redoes its work and loses nothing.
type Process struct {
	Machine   string // a hash of the machine's identity; empty where unknown
	Boot      string // identity of this start of the system; empty where unknown
	Namespace string // of the process ids; empty where there is but one
	PID       uint64
	Start     uint64 // when the process began, in units of the system; 0 where unknown
}

// Session is the record of a session's opening.
type Session struct {
	Path    string
	Writer  id.Writer // who signs it
	Session id.Session
	Era     uint32
	Use     Use
	Pins    []id.Session // the snapshots whose pages and blobs it may use without looking them up
	Process Process
	Program string
	Ring    uint32 // the ring generation that its writer knew
	Time    int64  // when it was opened, by its writer's clock
}

type wireProcess struct {
	Machine   string `cbor:"1,keyasint,omitempty"`
	Boot      string `cbor:"2,keyasint,omitempty"`
	Namespace string `cbor:"3,keyasint,omitempty"`
	PID       uint64 `cbor:"4,keyasint,omitempty"`
	Start     uint64 `cbor:"5,keyasint,omitempty"`
}

type wireSession struct {
	Path    string      `cbor:"1,keyasint"`
	Writer  bytes8      `cbor:"2,keyasint"`
	Session bytes16     `cbor:"3,keyasint"`
	Era     uint32      `cbor:"4,keyasint,omitempty"`
	Use     uint8       `cbor:"5,keyasint"`
	Pins    []bytes16   `cbor:"6,keyasint,omitempty"`
	Process wireProcess `cbor:"7,keyasint"`
	Program string      `cbor:"8,keyasint,omitempty"`
	Ring    uint32      `cbor:"9,keyasint,omitempty"`
	Time    int64       `cbor:"10,keyasint,omitempty"`
}

func (p Process) wire() wireProcess {
	return wireProcess{
		Machine: text(p.Machine), Boot: text(p.Boot), Namespace: text(p.Namespace), PID: p.PID, Start: p.Start,
	}
}

// Encode gives the session's bytes.
func (s *Session) Encode() ([]byte, error) {
	return marshal("session", &wireSession{
		Path: s.Path, Writer: bytes8(s.Writer), Session: bytes16(s.Session), Era: s.Era, Use: uint8(s.Use),
		Pins: sidsOut(s.Pins), Process: s.Process.wire(), Program: text(s.Program), Ring: s.Ring, Time: s.Time,
	})
}

// DecodeSession reads a session.
func DecodeSession(b []byte) (*Session, error) {
	var w wireSession
	if err := unmarshal("session", b, &w); err != nil {
		return nil, err
	}
	s := &Session{
		Path: w.Path, Writer: id.Writer(w.Writer), Session: id.Session(w.Session), Era: w.Era, Use: Use(w.Use),
		Pins: sidsIn(w.Pins), Process: Process(w.Process), Program: w.Program, Ring: w.Ring, Time: w.Time,
	}
	if s.Use < Write || s.Use > Prune {
		return nil, bad("session", "use %d is not known", w.Use)
	}
	return s, nil
}

// Beat is a heartbeat: the session's writer lives and has written its k-th.
type Beat struct {
	Path    string
	Writer  id.Writer
	Session id.Session
	Count   uint32
}

type wireBeat struct {
	Path    string  `cbor:"1,keyasint"`
	Writer  bytes8  `cbor:"2,keyasint"`
	Session bytes16 `cbor:"3,keyasint"`
	Count   uint32  `cbor:"4,keyasint,omitempty"`
}

// Encode gives the heartbeat's bytes.
func (h *Beat) Encode() ([]byte, error) {
	return marshal("heartbeat", &wireBeat{
		Path: h.Path, Writer: bytes8(h.Writer), Session: bytes16(h.Session), Count: h.Count,
	})
}

// DecodeBeat reads a heartbeat.
func DecodeBeat(b []byte) (*Beat, error) {
	var w wireBeat
	if err := unmarshal("heartbeat", b, &w); err != nil {
		return nil, err
	}
	return &Beat{Path: w.Path, Writer: id.Writer(w.Writer), Session: id.Session(w.Session), Count: w.Count}, nil
}

// Tombstone says that a snapshot is forgotten. It is final.
type Tombstone struct {
	Path      string
	Writer    id.Writer
	Session   id.Session // whose snapshot is forgotten
	Window    int64      // nanoseconds after Time during which prune still keeps what the snapshot needs
	Time      int64
	Successor id.Session // the snapshot that makes it needless, if there is one
	Reason    string     // for people
}

type wireTombstone struct {
	Path      string  `cbor:"1,keyasint"`
	Writer    bytes8  `cbor:"2,keyasint"`
	Session   bytes16 `cbor:"3,keyasint"`
	Window    int64   `cbor:"4,keyasint,omitempty"`
	Time      int64   `cbor:"5,keyasint,omitempty"`
	Successor bytes16 `cbor:"6,keyasint,omitzero"`
	Reason    string  `cbor:"7,keyasint,omitempty"`
}

// Encode gives the tombstone's bytes.
func (t *Tombstone) Encode() ([]byte, error) {
	return marshal("tombstone", &wireTombstone{
		Path: t.Path, Writer: bytes8(t.Writer), Session: bytes16(t.Session), Window: t.Window, Time: t.Time,
		Successor: bytes16(t.Successor), Reason: text(t.Reason),
	})
}

// DecodeTombstone reads a tombstone.
func DecodeTombstone(b []byte) (*Tombstone, error) {
	var w wireTombstone
	if err := unmarshal("tombstone", b, &w); err != nil {
		return nil, err
	}
	if w.Window < 0 {
		return nil, bad("tombstone", "window of %d ns", w.Window)
	}
	return &Tombstone{
		Path: w.Path, Writer: id.Writer(w.Writer), Session: id.Session(w.Session), Window: w.Window, Time: w.Time,
		Successor: id.Session(w.Successor), Reason: w.Reason,
	}, nil
}

// Condemned is a condemn record: packs that no writer may use from now on and that its pruner will delete. At the
// path ending in ".wait" it names instead the sessions that the pruner saw after the record was there.
type Condemned struct {
	Path   string
	Writer id.Writer
	ID     id.Session
	Packs  []Pack
	Wait   []id.Session
	Time   int64
}

type wireCondemned struct {
	Path   string     `cbor:"1,keyasint"`
	Writer bytes8     `cbor:"2,keyasint"`
	ID     bytes16    `cbor:"3,keyasint"`
	Packs  []wirePack `cbor:"4,keyasint,omitempty"`
	Wait   []bytes16  `cbor:"5,keyasint,omitempty"`
	Time   int64      `cbor:"6,keyasint,omitempty"`
}

// Encode gives the condemn record's bytes.
func (c *Condemned) Encode() ([]byte, error) {
	return marshal("condemn record", &wireCondemned{
		Path: c.Path, Writer: bytes8(c.Writer), ID: bytes16(c.ID), Packs: packsOut(c.Packs, c.ID),
		Wait: sidsOut(c.Wait), Time: c.Time,
	})
}

// DecodeCondemned reads a condemn record.
func DecodeCondemned(b []byte) (*Condemned, error) {
	var w wireCondemned
	if err := unmarshal("condemn record", b, &w); err != nil {
		return nil, err
	}
	c := &Condemned{
		Path: w.Path, Writer: id.Writer(w.Writer), ID: id.Session(w.ID), Wait: sidsIn(w.Wait), Time: w.Time,
	}
	var err error
	if c.Packs, err = packsIn("condemn record", w.Packs, c.ID); err != nil {
		return nil, err
	}
	return c, nil
}
