package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/event"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/record"
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

// Commit makes the snapshot part of the repository: flush, create the fate, flush, second copy. Success means that
// it is durable. ErrKilled, ErrForged and ErrOutcomeUnknown are as above; after any other error it is certain that
// nothing was committed, and End gives the session up.
func (s *Session) Commit(ctx context.Context, snap *record.Snapshot) (*Snapshot, error) {
	return s.commit(ctx, record.Commit, snap)
}

func (s *Session) commit(ctx context.Context, kind record.Kind, snap *record.Snapshot) (*Snapshot, error) {
	inner, err := snap.Encode()
	if err != nil {
		return nil, err
	}
	f, err := s.commitFate(ctx, kind, inner)
	if err != nil {
		return nil, err
	}
	rec, err := record.DecodeSnapshot(inner)
	if err != nil {
		return nil, err
	}
	return &Snapshot{ID: s.rec.Session, Kind: kind, Record: rec, Fate: f}, nil
}

// newFate is a fate of the session with what every kind has.
func (s *Session) newFate(kind record.Kind) *record.Fate {
	return &record.Fate{
		Path: record.FatePath(s.rec.Era, s.rec.Session), Writer: s.rec.Writer, Session: s.rec.Session, Era: s.rec.Era,
		Kind: kind, Ring: s.repo.Ring().Generation, Time: s.repo.Clock().Now().UnixNano(),
	}
}

// commitFate decides the session's fate as committed.
func (s *Session) commitFate(ctx context.Context, kind record.Kind, inner []byte) (*Fate, error) {
	switch s.outcome {
	case undecided:
	case killed:
		return nil, fmt.Errorf("commit session %s: %w", s.rec.Session, ErrKilled)
	default:
		return nil, fmt.Errorf("commit session %s: it is decided already", s.rec.Session)
	}
	if inner != nil {
		// The record was sealed and opened again by SealControl; that it also decodes is looked at here (law 6).
		if _, err := record.DecodeSnapshot(inner); err != nil {
			return nil, fmt.Errorf("read the snapshot back before it is committed: %w", err)
		}
	}
	rec := s.newFate(kind)
	s.mu.Lock()
	rec.Packs, rec.Indexes, rec.Replaces = s.packs, s.indexes, s.replaces
	s.mu.Unlock()
	rec.Heads, rec.Sequence = s.state.heads, s.state.sequence+1
	outer, err := rec.Encode()
	if err != nil {
		return nil, err
	}
	object, err := s.repo.SealControl(ctx, crypt.ClassFate, rec.Path, outer, inner)
	if err != nil {
		return nil, err
	}
	if err := s.ops.Flush(ctx); err != nil {
		return nil, fmt.Errorf("commit session %s: %w", s.rec.Session, err)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ctx, done := decisive(ctx)
	defer done()
	if err := s.decide(ctx, object, committed); err != nil {
		return nil, fmt.Errorf("commit session %s: %w", s.rec.Session, err)
	}
	s.fate = &Fate{
		Fate: *rec, Hash: id.Name(crypt.Sum(object)), Rights: s.repo.Rights(rec.Writer), inner: inner,
	}
	s.second(ctx, rec.Path, object)
	s.clean(ctx)
	return s.fate, nil
}

// second puts the second copy of a fate. The fate stands without it, so that a failure is a warning.
func (s *Session) second(ctx context.Context, path string, object []byte) {
	err := s.ops.Put(ctx, record.DupPath(path), object)
	if err == nil {
		err = s.ops.Flush(ctx)
	}
	if err != nil {
		s.repo.Events().Emit(event.Warning{Err: fmt.Errorf("write the second copy of %s: %w", path, err)})
	}
}

// grace is how long a commit goes on after its context has ended: a fate that was sent is settled first.
const grace = 20 * time.Second

// decisive makes a context that outlives ctx by the grace, for the calls that decide a fate.
func decisive(ctx context.Context) (context.Context, func()) {
	d, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var timer *time.Timer
	started := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(started)
		timer = time.AfterFunc(grace, cancel)
	})
	return d, func() {
		if !stop() {
			<-started
			timer.Stop()
		}
		cancel()
	}
}

// tries and pause say how often and after which time an undecided fate is asked for again.
const (
	tries = 8
	pause = 250 * time.Millisecond
)

func (s *Session) tries() int {
	if s.hasty {
		return 2
	}
	return tries
}

// decide makes object the session's fate, or finds out which other fate it has. It returns nil once the fate is
// object's and durable. After ErrKilled and ErrForged the fate is another's; after ErrOutcomeUnknown it is not
// known; after any other error there certainly is none.
func (s *Session) decide(ctx context.Context, object []byte, wanted outcome) error {
	err := s.place(ctx, object, wanted)
	if err == nil && s.repo.RegisterClass() && wanted == committed {
		err = s.unannounced(ctx)
	}
	switch {
	case err == nil:
		s.outcome = wanted
	case errors.Is(err, ErrKilled):
		s.outcome = killed
	case errors.Is(err, ErrOutcomeUnknown):
		s.outcome = unsure
	}
	return err
}

// place puts the object where the session's fate stands and makes it durable.
func (s *Session) place(ctx context.Context, object []byte, wanted outcome) error {
	path := record.FatePath(s.rec.Era, s.rec.Session)
	create := s.creator()
	if wanted == committed {
		s.sent = object
	} else if s.sent != nil && s.repo.RegisterClass() {
		if err := s.spareCommit(ctx, path); err != nil {
			return err
		}
	}
	var last error
	maybe := false // a try may have reached the store without our knowing
	for i := range s.tries() {
		if s.pauseBefore(ctx, i) != nil {
			break
		}
		err := create(ctx, path, object)
		if err == nil {
			return s.harden(ctx)
		}
		last = err
		if !refused(err) {
			maybe = true
		}
		f, there, err := readFate(ctx, s.ops, s.repo, path, &s.rec.Writer)
		switch {
		case there != nil && bytes.Equal(there, object):
			return s.harden(ctx)
		case there != nil:
			return s.other(ctx, f, there, err)
		case errors.Is(err, errs.NotFound):
			if !maybe {
				return fmt.Errorf("nothing was committed: %w", last)
			}
		default:
			last = errors.Join(last, err)
		}
	}
	if !maybe {
		// Every try was refused, and only the look at what is there failed: this session's fate is not there.
		return fmt.Errorf("nothing was committed: %w", last)
	}
	return unknown(last)
}

// creator is what puts a fate: if absent, where the store can tell that.
func (s *Session) creator() func(ctx context.Context, name string, object []byte) error {
	if s.repo.RegisterClass() {
		return s.ops.Put
	}
	return s.ops.Create
}

// pauseBefore waits before the i-th try, but not before the first, 0.
func (s *Session) pauseBefore(ctx context.Context, i int) error {
	if i == 0 {
		return nil
	}
	return s.ops.Sleep(ctx, pause<<min(i, 4))
}

// spareCommit keeps a fate from being put over a commit that has arrived, in a store that overwrites.
func (s *Session) spareCommit(ctx context.Context, path string) error {
	f, there, err := readFate(ctx, s.ops, s.repo, path, &s.rec.Writer)
	if there != nil {
		return s.other(ctx, f, there, err)
	}
	if !errors.Is(err, errs.NotFound) {
		return unknown(err)
	}
	return nil
}

// unknownError is ErrOutcomeUnknown with its reason.
type unknownError struct{ why error }

func (e *unknownError) Error() string   { return fmt.Sprintf("%v: %v", ErrOutcomeUnknown, e.why) }
func (e *unknownError) Unwrap() []error { return []error{ErrOutcomeUnknown, e.why} }

// WhyUnknown returns the reason of an error that is ErrOutcomeUnknown, for callers that found the outcome out by End;
// and false for any other error.
func WhyUnknown(err error) (why error, ok bool) {
	var u *unknownError
	if !errors.As(err, &u) {
		return nil, false
	}
	return u.why, true
}

// unknown is the error of a fate that could not be found out.
func unknown(why error) error {
	return errs.WithHint(&unknownError{why},
		"look with: nacre snapshots, once the repository answers; the snapshot is there or it is not, nothing else is lost")
}

// refused says that the store has certainly not taken the object.
func refused(err error) bool {
	return errors.Is(err, errs.Denied) || errors.Is(err, errs.Full) || errors.Is(err, errs.Unsupported) ||
		errors.Is(err, errs.Usage)
}

// harden makes the placed fate durable. What cannot be made durable may be gone after a power cut, though it is seen
// now.
func (s *Session) harden(ctx context.Context) error {
	if err := s.ops.Flush(ctx); err != nil {
		return unknown(fmt.Errorf("the fate is there, and the store does not say that it is safe: %w", err))
	}
	return nil
}

// other judges bytes that stand in the place of the session's fate and are not those that were sent now. f and err
// are what reading them gave.
func (s *Session) other(ctx context.Context, f *Fate, there []byte, err error) error {
	switch {
	case s.sent != nil && bytes.Equal(there, s.sent):
		// End, after a commit whose outcome was not known: it had succeeded.
		return s.committedAfterAll(ctx)
	case err == nil && f.Kind == record.Killed && !f.Void:
		return fmt.Errorf("%w by writer %s: %s", ErrKilled, f.Writer, f.Reason)
	case err == nil && f.Kind == record.Ended && f.Writer == s.rec.Writer:
		return fmt.Errorf("%w: it was ended before: %s", ErrKilled, f.Reason)
	case err == nil:
		err = fmt.Errorf("a fate of kind %s by writer %s", f.Kind, f.Writer)
	}
	return errs.WithHint(errs.As(errs.Corrupt, fmt.Errorf("%w: %w", ErrForged, err)),
		"somebody who can write to the store interferes; run: nacre check")
}

// errCommitted says that End found the session committed.
var errCommitted = errors.New("the session is committed")

func (s *Session) committedAfterAll(ctx context.Context) error {
	if err := s.harden(ctx); err != nil {
		return err
	}
	if s.repo.RegisterClass() {
		if err := s.unannounced(ctx); err != nil {
			return err
		}
	}
	return errCommitted
}

// unannounced looks, in the register class, for killers that announced themselves before they could see the fate. It
// returns nil once it is certain that no killer will void the fate: there is no announcement, or all are withdrawn,
// which a killer does only after it has seen the fate.
//
// An announcement that stays (its killer has crashed, or is slow) is taken for a kill. The fate is left as it is: it
// must not be voided by its own writer now, since somebody who saw it before the announcement may build on it.
func (s *Session) unannounced(ctx context.Context) error {
	var last error
	for i := range s.tries() {
		if i > 0 {
			if err := s.ops.Sleep(ctx, pause<<min(i, 4)); err != nil {
				break
			}
		}
		names, err := s.ops.List(ctx, fmt.Sprintf("%s%08x/", record.Fates, s.rec.Era))
		if last = err; err != nil {
			continue
		}
		announced := false
		for _, n := range names {
			switch p := record.ParsePlace(n.Name); {
			case p.Session != s.rec.Session:
			case p.Kind == record.KilledObject:
				return s.voided(ctx)
			case p.Kind == record.IntentObject:
				announced = true
			}
		}
		if !announced {
			return nil
		}
	}
	if last != nil || ctx.Err() != nil {
		return unknown(errors.Join(last, ctx.Err()))
	}
	return fmt.Errorf("%w, or a killer crashed as it was about to", ErrKilled)
}

// voided judges the kill beside a fate of the register class.
func (s *Session) voided(ctx context.Context) error {
	f, there, err := readFate(ctx, s.ops, s.repo, record.KilledPath(s.rec.Era, s.rec.Session), &s.rec.Writer)
	if err != nil && there == nil {
		return unknown(err)
	}
	return s.other(ctx, f, there, err)
}

// End gives the session up with a fate of kind ended, unless it is decided already. A read session is deleted
// instead. Ending twice is allowed. After a commit of unknown outcome End tries to find it out: Committed tells.
func (s *Session) End(ctx context.Context, reason string) error {
	if s.outcome != undecided && s.outcome != unsure {
		return nil
	}
	ctx, done := decisive(ctx)
	defer done()
	if s.rec.Use == record.Read {
		s.outcome = ended
		s.clean(ctx)
		return nil
	}
	rec := s.newFate(record.Ended)
	rec.Reason = reason
	outer, err := rec.Encode()
	if err != nil {
		return err
	}
	object, err := s.repo.SealControl(ctx, crypt.ClassFate, rec.Path, outer, nil)
	if err != nil {
		return err
	}
	err = s.decide(ctx, object, ended)
	switch {
	case errors.Is(err, errCommitted):
		s.outcome = committed
		s.second(ctx, rec.Path, s.sent)
		s.clean(ctx)
		return nil
	case errors.Is(err, ErrKilled):
		return nil // given up all the same
	case err != nil:
		return fmt.Errorf("end session %s: %w", s.rec.Session, err)
	}
	s.second(ctx, rec.Path, object)
	s.mu.Lock()
	empty := len(s.packs) == 0
	s.mu.Unlock()
	if empty { // else the next run adopts its packs, and finds them by the session's object
		s.clean(ctx)
	}
	return nil
}

// Committed says that the session's snapshot is part of the repository.
func (s *Session) Committed() bool { return s.outcome == committed }
