package session

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/repo"
)

// State is what one listing in the one order showed. It does not change, but that a session adds its own committed
// checkpoint to its successor's state before it hands it out. It takes about 150 bytes for each pack of the
// repository (5 parts in a million of what the packs hold) and a few kilobytes for each snapshot.
type State struct {
	repo *repo.Repo
	era  uint32
	shut error // why nothing may be written: an era's opening does not verify

	condemned  map[packKey]bool
	blind      bool // a condemn record does not verify: no pack may be used
	tombs      map[id.Session]*tomb
	sessions   map[id.Session]*Open
	fates      map[id.Session]*Fate
	snapshots  map[id.Session]*Snapshot
	usable     map[packKey]record.Pack
	indexes    []id.Name
	heads      []record.Head
	sequence   uint64
	unknown    []Unknown
	alarms     []Alarm
	unreadable map[id.Session]bool // sessions whose fate is there and not known
}

// packKey tells packs apart.
type packKey struct {
	class   byte
	n       uint32
	session id.Session
	name    id.Name
}

func keyOf(p record.Pack) packKey {
	return packKey{class: p.Class, n: p.N, session: p.Session, name: p.Name}
}

// tomb is what stands at a tombstone's path: record is nil where it does not verify.
type tomb struct {
	record *record.Tombstone
	row    crypt.RingWriter
}

// Fate is a fate that verifies.
type Fate struct {
	record.Fate
	Hash   id.Name // B3 of its bytes
	Rights crypt.Rights
	Healed bool // read from dup/: the original is damaged or gone
	// Void says that the fate decides its session and nothing of it counts: its writer was revoked, and the keyring
	// does not list it.
	Void bool
	// Unconfirmed says, in the register class, that a killer has announced itself and not said what it found. The
	// snapshot is good unless the killer comes back; nobody builds on it.
	Unconfirmed bool
	trusted     bool // a put-only writer's fate that the keyring trusts
	inner       []byte
}

// Committed reports whether the fate makes its session's packs and index objects count.
func (f *Fate) Committed() bool { return f.Kind.Committed() && !f.Void }

// Snapshot is a committed snapshot or checkpoint.
type Snapshot struct {
	ID     id.Session
	Kind   record.Kind // Commit or Checkpoint
	Record *record.Snapshot
	Fate   *Fate
	// Tombstone is set where the snapshot is forgotten.
	Tombstone *record.Tombstone
}

// Open is a session whose object is there.
type Open struct {
	ID     id.Session
	Era    uint32
	Record *record.Session // nil if it does not decode or verify
	Beats  uint32          // its highest heartbeat
}

// Unknown is an object that is there and does not decode or verify, or that is gone and has a second copy.
type Unknown struct {
	Path string
	Err  error
}

// Alarm is a fate that others name and that is missing or has other bytes.
type Alarm struct {
	Session id.Session
	Hash    id.Name
	NamedBy string // a fate's session in hexadecimal, or Memory
}

// Memory names this machine's memory of heads in an Alarm.
const Memory = "this machine's memory"

// Era is the highest era that is open.
func (s *State) Era() uint32 { return s.era }

// Snapshots lists the live commits, oldest first (by Record.Time, then by id). Their inner parts are open.
func (s *State) Snapshots() []*Snapshot { return s.live(record.Commit) }

// Checkpoints lists the live checkpoints, oldest first.
func (s *State) Checkpoints() []*Snapshot { return s.live(record.Checkpoint) }

func (s *State) live(k record.Kind) []*Snapshot {
	var out []*Snapshot
	for _, n := range s.snapshots {
		if n.Kind == k && n.Tombstone == nil {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, func(a, b *Snapshot) int {
		if c := cmp.Compare(a.Record.Time, b.Record.Time); c != 0 {
			return c
		}
		return bytes.Compare(a.ID[:], b.ID[:])
	})
	return out
}

// Snapshot finds a commit or checkpoint, forgotten ones too.
func (s *State) Snapshot(sid id.Session) (*Snapshot, bool) {
	n, ok := s.snapshots[sid]
	return n, ok
}

// Fate finds the fate of a session. One that is there and unknown is not found; FateUnknown tells.
func (s *State) Fate(sid id.Session) (*Fate, bool) {
	f, ok := s.fates[sid]
	return f, ok
}

// Fates calls fn for each known fate, in no promised order.
func (s *State) Fates(fn func(*Fate) error) error {
	for _, f := range s.fates {
		if err := fn(f); err != nil {
			return err
		}
	}
	return nil
}

// FateUnknown says that the session has a fate that does not verify.
func (s *State) FateUnknown(sid id.Session) bool { return s.unreadable[sid] }

// Tombstoned says that something stands at the snapshot's tombstone, whether it verifies or not.
func (s *State) Tombstoned(sid id.Session) bool { return s.tombs[sid] != nil }

// Usable says whether blobs of the pack may be used instead of storing them again.
func (s *State) Usable(p record.Pack) bool {
	_, ok := s.usable[keyOf(p)]
	return ok
}

// UsablePack is Usable for the pack at that path.
func (s *State) UsablePack(path string) bool {
	p, err := record.ParsePack(path, 0)
	return err == nil && s.Usable(p)
}

// Condemned says that a condemn record names the pack: it is about to be deleted.
func (s *State) Condemned(p record.Pack) bool { return s.blind || s.condemned[keyOf(p)] }

// Packs calls fn for each usable pack, in no promised order.
func (s *State) Packs(fn func(record.Pack) error) error {
	for _, p := range s.usable {
		if err := fn(p); err != nil {
			return err
		}
	}
	return nil
}

// CommittedIndexes lists the index objects that committed fates name, without those replaced by others.
func (s *State) CommittedIndexes() []id.Name { return s.indexes }

// Heads lists the committed fates that no other one names.
func (s *State) Heads() []record.Head { return s.heads }

// Sequence is the largest sequence number of a committed fate.
func (s *State) Sequence() uint64 { return s.sequence }

// OpenSessions lists the sessions without a fate, read sessions among them.
func (s *State) OpenSessions() []*Open {
	var out []*Open
	for sid, o := range s.sessions {
		if s.fates[sid] == nil && !s.unreadable[sid] {
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b *Open) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return out
}

// Unknowns lists what is there and does not decode or verify, so that its meaning is not known.
func (s *State) Unknowns() []Unknown { return s.unknown }

// Alarms lists the fates that are missing or replaced though others name them.
func (s *State) Alarms() []Alarm { return s.alarms }

// settle works out what the verified objects mean together. All of it follows from the maps of objects alone.
func (s *State) settle() {
	s.snapshots = map[id.Session]*Snapshot{}
	s.usable = map[packKey]record.Pack{}
	s.indexes, s.heads, s.sequence = nil, nil, 0
	said := s.sayings()
	own, _ := s.repo.KnownWriter()
	seen := map[id.Name]bool{}
	for sid, f := range s.fates {
		if !f.Committed() {
			continue
		}
		if !said.named[sid] {
			s.heads = append(s.heads, record.Head{Session: sid, Hash: f.Hash})
		}
		s.addSnapshot(f)
		if f.Unconfirmed || f.Rights&(crypt.RightWrite|crypt.RightPrune) == 0 && f.Writer != own && !f.trusted {
			continue
		}
		for _, p := range f.Packs {
			if k := keyOf(p); !s.blind && !said.gone[k] && !s.condemned[k] {
				s.usable[k] = p
			}
		}
		for _, n := range f.Indexes {
			if !said.replaced[n] && !seen[n] {
				seen[n] = true
				s.indexes = append(s.indexes, n)
			}
		}
	}
	slices.SortFunc(s.heads, func(a, b record.Head) int { return bytes.Compare(a.Session[:], b.Session[:]) })
	slices.SortFunc(s.indexes, func(a, b id.Name) int { return bytes.Compare(a[:], b[:]) })
}

// sayings are what the committed fates say of other objects.
type sayings struct {
	gone     map[packKey]bool
	replaced map[id.Name]bool
	named    map[id.Session]bool // fates that another one names as a head
}

// sayings gathers them, and the highest sequence.
func (s *State) sayings() *sayings {
	said := &sayings{map[packKey]bool{}, map[id.Name]bool{}, map[id.Session]bool{}}
	for _, f := range s.fates {
		if !f.Committed() {
			continue
		}
		s.sequence = max(s.sequence, f.Sequence)
		for _, h := range f.Heads {
			said.named[h.Session] = true
		}
		// Only a pruner says what is gone and what is replaced: what a put-only writer says of others' packs could
		// take them out of everybody's sight.
		if f.Kind == record.Rescue {
			for _, p := range f.Gone {
				said.gone[keyOf(p)] = true
			}
		}
		if f.Rights&(crypt.RightWrite|crypt.RightPrune) != 0 {
			for _, n := range f.Replaces {
				said.replaced[n] = true
			}
		}
	}
	return said
}

// addSnapshot puts the fate's snapshot, if it has one, among the snapshots. A fate whose inner part does not decode
// was refused before.
func (s *State) addSnapshot(f *Fate) {
	if !f.Kind.Snapshot() || f.inner == nil {
		return
	}
	rec, err := record.DecodeSnapshot(f.inner)
	if err != nil {
		return
	}
	n := &Snapshot{ID: f.Session, Kind: f.Kind, Record: rec, Fate: f}
	if t := s.tombs[f.Session]; t != nil && t.counts(f) {
		n.Tombstone = t.record
	}
	s.snapshots[f.Session] = n
}

// counts says whether the tombstone was written by someone who may forget the snapshot. One that does not count
// leaves the snapshot live; it keeps others from building on it all the same (Tombstoned).
func (t *tomb) counts(f *Fate) bool {
	switch {
	case t.record == nil || t.row.Revoked:
		return false
	case t.row.Rights&(crypt.RightWrite|crypt.RightPrune) != 0:
		return true
	}
	return f.Kind == record.Checkpoint && t.record.Writer == f.Writer
}

// mayPin says why a session may not build on the snapshot without looking its blobs up, or nothing.
func (s *State) mayPin(sid id.Session) string {
	f := s.fates[sid]
	switch {
	case s.unreadable[sid]:
		return "its fate does not verify"
	case f == nil:
		return "it was never committed"
	case !f.Committed() || !f.Kind.Snapshot():
		return "it is " + f.Kind.String()
	case f.Unconfirmed:
		return "its commit is not confirmed"
	case s.Tombstoned(sid):
		return "it is forgotten"
	}
	return ""
}
