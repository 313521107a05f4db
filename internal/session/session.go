package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/event"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/process"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/repo"
	"github.com/nacre-backup/nacre/internal/store"
)

// BeginOptions says how a session is opened.
type BeginOptions struct {
	Use     record.Use     // 0: record.Write
	Pins    []id.Session   // snapshots to be used without looking their blobs up: the parents
	Seen    *State         // the listing that the pins were chosen from, which tells the open era; nil: Begin looks
	Process record.Process // the zero value: this process
	Program string         // name and version of the program
	Ops     Ops            // nil: the repository's store
}

// outcome is what is known of the session's fate.
type outcome uint8

const (
	undecided outcome = iota
	committed
	ended
	killed
	unsure // a commit was sent and no answer came
)

// Session is a writer's or reader's open session. NextPack, AddPack and AddIndex may be called from several
// goroutines at once; Commit, Checkpoint, End, Supersede and AdoptDead are called by one.
type Session struct {
	repo  *repo.Repo
	ops   Ops
	rec   record.Session
	chain *chain // shared with the sessions that a run goes through by checkpoints
	state *State // the newest listing made under this session

	mu       sync.Mutex
	next     map[crypt.Class]uint32
	packs    []record.Pack
	listed   map[packKey]bool // the packs
	indexes  []id.Name
	replaces []id.Name

	outcome outcome
	fate    *Fate   // once it is committed
	sent    []byte  // the bytes of the commit that were handed to the store, if any
	beats   uint32  // guarded by chain.mu
	hasty   bool    // it is given up before anybody saw it: not worth waiting for a store that does not answer
	adopted []*Open // dead sessions whose packs were taken over: their objects go with this one's
}

// chain is the row of sessions that one run goes through.
type chain struct {
	mu      sync.Mutex
	current *Session
}

// maxOpenings bounds how often a session is opened again without pins that have been lost.
const maxOpenings = 16

// Begin opens a session and lists the state as of after its opening. A pin that is not committed, or has a tombstone,
// is dropped: that session is ended and another opened without it (Session.Pins tells which stayed).
func Begin(ctx context.Context, r *repo.Repo, o BeginOptions) (*Session, *State, error) {
	ops := o.Ops
	if ops == nil {
		ops = opsOf(r)
	}
	if o.Use == 0 {
		o.Use = record.Write
	}
	if o.Process == (record.Process{}) {
		o.Process = record.Process(process.Self())
	}
	var create store.PutIfAbsenter
	if !r.RegisterClass() && !store.As(r.Store(), &create) {
		return nil, nil, errNoCreate()
	}
	w, err := r.Writer(ctx)
	if err != nil {
		return nil, nil, err
	}
	first := &Session{
		repo: r, ops: ops, chain: &chain{},
		rec: record.Session{Writer: w.Writer(), Use: o.Use, Process: o.Process, Program: o.Program},
	}
	if o.Use != record.Read {
		seen := o.Seen
		if seen == nil {
			seen, err = firstEra(ctx, r, ops)
		}
		if err == nil {
			err = seen.shut // before anything is written
		}
		if err != nil {
			return nil, nil, fmt.Errorf("open a session: %w", err)
		}
		first.rec.Era = seen.era
	}
	s, st, err := first.open(ctx, o.Pins, id.Session{})
	if err != nil {
		return nil, nil, fmt.Errorf("open a session: %w", err)
	}
	s.chain.pass(nil, s)
	return s, st, nil
}

// open makes a session like s with other pins. trust is a pin that is not judged: the session that s succeeds, whose
// commit is still to come.
func (s *Session) open(ctx context.Context, pins []id.Session, trust id.Session) (*Session, *State, error) {
	era := s.rec.Era
	pins = slices.Clone(pins)
	for range maxOpenings {
		n, err := s.put(ctx, era, pins)
		if err != nil {
			return nil, nil, err
		}
		// Only now, with the session in sight of every pruner.
		st, err := list(ctx, s.repo, s.ops, true)
		if err != nil {
			return nil, nil, errors.Join(err, n.abandon(ctx, "the state could not be read"))
		}
		if st.shut != nil && s.rec.Use != record.Read {
			return nil, nil, errors.Join(st.shut, n.abandon(ctx, "which era is open is not known"))
		}
		kept := slices.DeleteFunc(slices.Clone(pins), func(p id.Session) bool { return p != trust && st.mayPin(p) != "" })
		if st.era <= era && len(kept) == len(pins) {
			n.state = st
			return n, st, nil
		}
		if err := n.abandon(ctx, "opened again without a pin that was lost, or in a new era"); err != nil {
			return nil, nil, err
		}
		pins, era = kept, max(era, st.era)
	}
	return nil, nil, errs.New(errs.Temporary, "the snapshots to build on were forgotten %d times in a row", maxOpenings)
}

// put writes a new session's object.
func (s *Session) put(ctx context.Context, era uint32, pins []id.Session) (*Session, error) {
	n := &Session{
		repo: s.repo, ops: s.ops, chain: s.chain, rec: s.rec, next: map[crypt.Class]uint32{}, listed: map[packKey]bool{},
	}
	if _, err := io.ReadFull(s.repo.Rand(), n.rec.Session[:]); err != nil {
		return nil, fmt.Errorf("draw the session's id: %w", err)
	}
	n.rec.Era, n.rec.Pins = era, pins
	n.rec.Path = record.SessionPath(era, n.rec.Session)
	n.rec.Ring, n.rec.Time = s.repo.Ring().Generation, s.repo.Clock().Now().UnixNano()
	outer, err := n.rec.Encode()
	if err != nil {
		return nil, err
	}
	b, err := s.repo.SealControl(ctx, crypt.ClassSession, n.rec.Path, outer, nil)
	if err != nil {
		return nil, err
	}
	if err := s.ops.Put(ctx, n.rec.Path, b); err == nil {
		if n.rec.Use == record.Read {
			return n, nil // it is of no use once the power is gone, and its reader with it
		}
		err = s.ops.Flush(ctx)
		if err == nil {
			return n, nil
		}
		return nil, errors.Join(err, n.abandon(ctx, "it could not be made durable"))
	} else if errors.Is(err, errs.Denied) || errors.Is(err, errs.Full) {
		return nil, err // certainly not there
	} else {
		return nil, errors.Join(err, n.abandon(ctx, "its opening was not answered"))
	}
}

// abandon ends a session that nobody has seen yet. Failing that, its process will be found dead, or it silent.
func (n *Session) abandon(ctx context.Context, why string) error {
	n.hasty = true
	err := n.End(ctx, why)
	if err != nil {
		return fmt.Errorf("end session %s: %w", n.rec.Session, err)
	}
	return nil
}

// ID is the session's id, and that of the snapshot it commits.
func (s *Session) ID() id.Session { return s.rec.Session }

// State is the newest listing that was made under the session.
func (s *Session) State() *State { return s.state }

// Pins are the snapshots that the session pins.
func (s *Session) Pins() []id.Session { return s.rec.Pins }

// Pinned says whether the session pins the snapshot.
func (s *Session) Pinned(sid id.Session) bool { return slices.Contains(s.rec.Pins, sid) }

// NextPack takes the next pack number of the class: the pack will stand at record.Pack{Class, ID(), n, name}.Path().
func (s *Session) NextPack(c crypt.Class) uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.next[c]
	s.next[c] = n + 1
	return n
}

// AddPack puts a pack on the fate's list: one that this session stored, or that it adopts. Twice is once.
func (s *Session) AddPack(p record.Pack) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := keyOf(p); !s.listed[k] {
		s.listed[k] = true
		s.packs = append(s.packs, p)
	}
}

// AddIndex puts an index object on the fate's list.
func (s *Session) AddIndex(n id.Name, replaces ...id.Name) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.indexes = append(s.indexes, n)
	s.replaces = append(s.replaces, replaces...)
}

// Beat is how often a heartbeat is written. Pruners give a session up after 72 hours without one.
const Beat = 15 * time.Minute

// Keep writes heartbeats for the session and its successors while fn runs, and returns fn's error.
func (s *Session) Keep(ctx context.Context, fn func(ctx context.Context) error) error {
	beating, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for s.ops.Sleep(beating, Beat) == nil {
			if err := s.chain.beat(beating); err != nil && beating.Err() == nil {
				s.repo.Events().Emit(event.Warning{Err: fmt.Errorf("write a heartbeat: %w", err)})
			}
		}
	}()
	err := fn(ctx)
	stop()
	<-done
	return err
}

// beat writes a heartbeat for the present session, if it still needs one.
func (c *chain) beat(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == nil {
		return nil
	}
	return c.current.beat(ctx)
}

// pass makes next the present session instead of s; nil where s was the last.
func (c *chain) pass(s, next *Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == s || next != nil {
		c.current = next
	}
}

// beat writes the session's next heartbeat. The chain's lock is held.
func (s *Session) beat(ctx context.Context) error {
	s.beats++
	k := s.beats
	b := record.Beat{Path: record.HeartbeatPath(s.rec.Era, s.rec.Session, k), Writer: s.rec.Writer, Session: s.rec.Session, Count: k}
	outer, err := b.Encode()
	if err != nil {
		return err
	}
	object, err := s.repo.SealControl(ctx, crypt.ClassHeartbeat, b.Path, outer, nil)
	if err != nil {
		return err
	}
	return s.ops.Put(ctx, b.Path, object)
}

// clean deletes what the session leaves behind once its fate is known: heartbeats, its object, and those of the dead
// sessions that it adopted. All of it is garbage that a pruner deletes too, so that a store that deletes nothing, or
// does not answer, is no failure.
func (s *Session) clean(ctx context.Context) {
	s.chain.pass(s, nil) // no heartbeat comes after this
	drop := func(era uint32, sid id.Session, beats uint32) {
		for k := uint32(1); k <= beats; k++ {
			if s.ops.Delete(ctx, record.HeartbeatPath(era, sid, k)) != nil {
				return
			}
		}
		_ = s.ops.Delete(ctx, record.SessionPath(era, sid)) // as said above
	}
	drop(s.rec.Era, s.rec.Session, s.beats)
	if s.outcome == committed {
		for _, o := range s.adopted {
			drop(o.Era, o.ID, o.Beats)
		}
	}
}
