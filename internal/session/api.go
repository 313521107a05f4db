package session

import (
	"context"
	"errors"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/repo"
)

var (
	// ErrKilled says that another gave the session up for dead and decided so before its commit. Nothing of it
	// counts; its work is done again in a new session, which may adopt its packs.
	ErrKilled = errors.New("the session was killed")
	// ErrOutcomeUnknown says that the store gave no answer about the commit: the snapshot may be there or not.
	ErrOutcomeUnknown = errors.New("outcome unknown")
	// ErrForged says that the session's fate is neither its own nor a valid kill.
	ErrForged = errors.New("the session's fate was forged")
)

// State is what one listing in the one order showed. It does not change, but for what its own session commits.
type State struct {
	repo *repo.Repo
}

// Fate is a fate that verifies.
type Fate struct {
	record.Fate
	Hash   id.Name // B3 of its bytes
	Rights crypt.Rights
	Healed bool // read from dup/: the original is damaged or gone
	inner  []byte
}

// Snapshot is a committed snapshot or checkpoint.
type Snapshot struct {
	ID     id.Session
	Kind   record.Kind // Commit or Checkpoint
	Record *record.Snapshot
	Fate   *Fate
	// Tombstone is set where the snapshot is forgotten.
	Tombstone *record.Tombstone
}

// Open is a session without a fate.
type Open struct {
	ID     id.Session
	Era    uint32
	Record *record.Session // nil if it does not decode or verify
	Beats  uint32          // its highest heartbeat
}

// Unknown is an object that is there and does not decode or verify.
type Unknown struct {
	Path string
	Err  error
}

// Alarm is a fate that others name and that is missing or has other bytes.
type Alarm struct {
	Session id.Session
	Hash    id.Name
	NamedBy string // a fate's session in hexadecimal, or "this machine's memory"
}

// List reads the repository's state.
func List(ctx context.Context, r *repo.Repo) (*State, error) { panic("session: skeleton") }

// Snapshots lists the live commits, oldest first (by Record.Time, then by id). Their inner parts are open.
func (s *State) Snapshots() []*Snapshot { panic("session: skeleton") }

// Checkpoints lists the live checkpoints, oldest first.
func (s *State) Checkpoints() []*Snapshot { panic("session: skeleton") }

// Snapshot finds a commit or checkpoint, forgotten ones too.
func (s *State) Snapshot(sid id.Session) (*Snapshot, bool) { panic("session: skeleton") }

// Fate finds the fate of a session.
func (s *State) Fate(sid id.Session) (*Fate, bool) { panic("session: skeleton") }

// Tombstoned says that something stands at the snapshot's tombstone, whether it verifies or not.
func (s *State) Tombstoned(sid id.Session) bool { panic("session: skeleton") }

// UsablePack says whether blobs of the pack may be used instead of storing them again.
func (s *State) UsablePack(path string) bool { panic("session: skeleton") }

// Packs calls fn for each usable pack, in no promised order.
func (s *State) Packs(fn func(record.Pack) error) error { panic("session: skeleton") }

// CommittedIndexes lists the index objects that committed fates name, without those replaced by others.
func (s *State) CommittedIndexes() []id.Name { panic("session: skeleton") }

// Heads lists the committed fates that no other one names.
func (s *State) Heads() []record.Head { panic("session: skeleton") }

// Sequence is the largest sequence number of a committed fate.
func (s *State) Sequence() uint64 { panic("session: skeleton") }

// OpenSessions lists the sessions without a fate.
func (s *State) OpenSessions() []*Open { panic("session: skeleton") }

// Unknowns lists what is there and does not decode or verify, so that its meaning is not known.
func (s *State) Unknowns() []Unknown { panic("session: skeleton") }

// Alarms lists the fates that are missing though others name them.
func (s *State) Alarms() []Alarm { panic("session: skeleton") }

// BeginOptions says how a session is opened.
type BeginOptions struct {
	Use     record.Use     // 0: record.Write
	Pins    []id.Session   // snapshots to be used without looking their blobs up: the parents
	Process record.Process // who this process is (package process)
	Program string         // name and version of the program
}

// Session is a writer's or reader's open session. Its methods may be called from several goroutines at once, but
// Commit, Checkpoint and End are called by one.
type Session struct {
	repo *repo.Repo
}

// Begin opens a session and lists the state as of after its opening. A pin that is not committed, or has a tombstone,
// is dropped: that session is ended and another opened without it (Session.Pins tells which stayed).
func Begin(ctx context.Context, r *repo.Repo, o BeginOptions) (*Session, *State, error) {
	panic("session: skeleton")
}

// ID is the session's id, and that of the snapshot it commits.
func (s *Session) ID() id.Session { panic("session: skeleton") }

// Pins are the snapshots that the session pins.
func (s *Session) Pins() []id.Session { panic("session: skeleton") }

// Pinned says whether the session pins the snapshot.
func (s *Session) Pinned(sid id.Session) bool { panic("session: skeleton") }

// NextPack takes the next pack number of the class: the pack will stand at record.Pack{Class, ID(), n, name}.Path().
func (s *Session) NextPack(c crypt.Class) uint32 { panic("session: skeleton") }

// AddPack puts a pack on the fate's list: one that this session stored, or that it adopts.
func (s *Session) AddPack(p record.Pack) { panic("session: skeleton") }

// AddIndex puts an index object on the fate's list.
func (s *Session) AddIndex(n id.Name, replaces ...id.Name) { panic("session: skeleton") }

// Keep writes heartbeats for the session and its successors while fn runs, and returns fn's error.
func (s *Session) Keep(ctx context.Context, fn func(ctx context.Context) error) error {
	panic("session: skeleton")
}

// Commit makes the snapshot part of the repository: flush, create the fate, flush, second copy. Success means that
// it is durable. ErrKilled, ErrForged and ErrOutcomeUnknown are as above; after any other error it is certain that
// nothing was committed, and End gives the session up.
func (s *Session) Commit(ctx context.Context, snap *record.Snapshot) (*Snapshot, error) {
	panic("session: skeleton")
}

// Checkpoint commits what there is as a checkpoint and goes on in a successor, which pins it beside the pins that are
// still good. The successor's State is as of after its opening and takes the place of the old one in every decision:
// packs may have been condemned since. A pin that was lost is not in Pins() of the successor: its pages and blobs
// must not be reused any more without looking them up.
func (s *Session) Checkpoint(ctx context.Context, snap *record.Snapshot) (*Session, *State, *Snapshot, error) {
	panic("session: skeleton")
}

// End gives the session up with a fate of kind ended, unless it is decided already. Ending twice is allowed.
func (s *Session) End(ctx context.Context, reason string) error { panic("session: skeleton") }

// Supersede forgets checkpoints, at once and for ever, that the session's committed snapshot makes needless. It is
// refused before the commit.
func (s *Session) Supersede(ctx context.Context, checkpoints ...id.Session) error {
	panic("session: skeleton")
}

// Adopted is what was taken over from a dead session.
type Adopted struct {
	Session id.Session
	Packs   []record.Pack // there, not condemned, not gone; put on the adopter's fate by AddPack
}

// AdoptDead kills the sessions that this machine's writer opened and whose process is gone, lists again, and returns
// their packs. alive tells whether a process of this machine lives; it is process.Alive but in tests. The returned
// State takes the place of the old one.
func (s *Session) AdoptDead(ctx context.Context, st *State, alive func(record.Process) bool) ([]Adopted, *State, error) {
	panic("session: skeleton")
}
