package backup

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nacre-backup/nacre/internal/blob"
	"github.com/nacre-backup/nacre/internal/chunk"
	"github.com/nacre-backup/nacre/internal/codec"
	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/event"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/index"
	"github.com/nacre-backup/nacre/internal/process"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/segment"
	"github.com/nacre-backup/nacre/internal/session"
	"github.com/nacre-backup/nacre/internal/source"
	"github.com/nacre-backup/nacre/internal/tree"
)

const (
	// attempts is how often a run starts anew after its session was killed while it slept.
	attempts = 3
	// average is the chunker's average length of chunk.
	average = 256 << 10
	// lastWords is how long an ended run may take to give its session up.
	lastWords = 10 * time.Second
)

// run is one attempt.
type run struct {
	o       Options
	src     source.Source
	started time.Time

	sess    *session.Session
	state   *session.State
	index   *index.Index
	writer  *blob.Writer
	reader  *blob.Reader
	pages   *blob.Pages
	domain  *crypt.Domain
	chunker *chunk.Chunker

	parents    []tree.Parent
	complete   id.Session        // the complete parent; zero if there is none
	checkpoint *session.Snapshot // the checkpoint to go on from
	latest     *session.Snapshot // the last checkpoint that this run made
	ending     bool              // the run ends with a checkpoint
	parentRoot []byte
	// completeStart is when the complete parent's run began, in nanoseconds.
	completeStart int64

	window  *window
	gate    gate
	stripes chan *stripe
	again   chan *batch   // the head, if an op of it is to be read after all
	over    chan struct{} // closed when the builder is done
	journal *journal
	builder *tree.Builder
	head    *batch // the first one that is not in the tree; the builder's
	due     chan struct{}
	fresh   atomic.Int64 // bytes read since the last checkpoint
	past    []id.Session // checkpoints that this run makes needless when it commits
	damaged atomic.Bool  // a page of a parent was found damaged
	// dataBlobs is how many blobs of content were new.
	dataBlobs atomic.Int64
	// committing is what was sent to be committed last: a checkpoint, or the snapshot.
	committing *record.Snapshot
	// donePacks is how many packs were written when the last checkpoint was made.
	donePacks int64

	group      *errgroup.Group
	visitors   []*visitor // the goroutines of group
	leftBehind bool       // some of them still run

	mu  sync.Mutex // guards what follows
	sum Summary
}

// Run backs the source up. The summary is complete where the error is nil, and where it is ErrInterrupted.
func Run(ctx context.Context, o Options) (*Summary, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.setDefaults()
	for try := 1; ; try++ {
		sum, err := once(ctx, o)
		if !errors.Is(err, session.ErrKilled) || try == attempts {
			return sum, err
		}
		o.Events.Emit(event.Warning{Err: errors.New("another client gave this run up for dead while it slept; starting anew")})
	}
}

// once is one attempt.
func once(ctx context.Context, o Options) (sum *Summary, err error) {
	src, err := o.Open(ctx)
	if err != nil {
		return nil, fmt.Errorf("open the source: %w", err)
	}
	r := &run{o: o, src: src, window: newWindow(), stripes: make(chan *stripe, o.Workers)}
	r.again, r.over, r.due = make(chan *batch, 1), make(chan struct{}), make(chan struct{}, 1)
	defer func() {
		if cerr := src.Close(); cerr != nil && err == nil {
			sum, err = nil, fmt.Errorf("close the source: %w", cerr)
		}
	}()
	if o.DryRun {
		return r.dry(ctx)
	}
	r.started = o.Repo.Clock().Now()
	if err := r.untilInterrupted(ctx, r.begin); err != nil {
		return &r.sum, err
	}
	err = r.sess.Keep(ctx, r.main)
	if err != nil {
		err = r.giveUp(ctx, err)
	}
	r.close()
	if err != nil && !errors.Is(err, ErrInterrupted) {
		return nil, err
	}
	return &r.sum, err
}

// untilInterrupted runs fn, which is given up if it goes on for long when the run is interrupted: there is nothing yet to
// make a checkpoint of.
func (r *run) untilInterrupted(ctx context.Context, fn func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-r.o.Interrupt:
		case <-ctx.Done():
			return
		}
		timer := time.NewTimer(patience)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel(ErrInterrupted)
		case <-ctx.Done():
		}
	}()
	err := fn(ctx)
	if err != nil && errors.Is(context.Cause(ctx), ErrInterrupted) {
		err = ErrInterrupted
		r.stand(true)
	}
	cancel(nil)
	<-watched
	return err
}

// begin opens the session and everything that the run writes and reads through.
func (r *run) begin(ctx context.Context) error {
	o := &r.o
	o.Events.Emit(event.Phase{Name: "open"})
	st, err := session.List(ctx, o.Repo)
	if err != nil {
		return err
	}
	parent, check := r.choose(st)
	var pins []id.Session
	for _, s := range []*session.Snapshot{parent, check} {
		if s != nil {
			pins = append(pins, s.ID)
		}
	}
	r.sess, r.state, err = session.Begin(ctx, o.Repo, session.BeginOptions{
		Pins: pins, Seen: st, Process: record.Process(process.Self()), Program: o.Program,
	})
	if err != nil {
		return err
	}
	if err := r.open(ctx, parent, check); err != nil {
		err = r.giveUp(ctx, err)
		r.close()
		return err
	}
	return nil
}

// open follows Begin: what fails from here on ends the session.
func (r *run) open(ctx context.Context, parent, check *session.Snapshot) error {
	o := &r.o
	adopted, st, err := r.sess.AdoptDead(ctx, r.state, func(p record.Process) bool { return process.Alive(process.ID(p)) })
	if err != nil {
		return err
	}
	r.state = st
	if r.index, err = index.Open(ctx, o.Repo, st, index.Options{CacheDir: o.CacheDir}); err != nil {
		return err
	}
	r.reader = blob.NewReader(o.Repo, r.index)
	r.pages = blob.NewPages(r.reader, o.CacheDir)
	if err := r.adopt(ctx, adopted); err != nil {
		return err
	}
	r.domain = o.Repo.Domain()
	if r.chunker, err = chunk.New(r.domain.ChunkKey(), average); err != nil {
		return err
	}
	return r.setParents(parent, check)
}

// adopt takes the packs of dead sessions over.
func (r *run) adopt(ctx context.Context, dead []session.Adopted) error {
	for _, a := range dead {
		if err := r.index.AddPacks(ctx, r.sess, a.Packs); err != nil {
			return fmt.Errorf("read the packs of the dead session %s: %w", a.Session, err)
		}
		r.sum.Adopted += len(a.Packs)
	}
	if r.sum.Adopted > 0 {
		r.note("took over %d packs that a run that died had stored", r.sum.Adopted)
	}
	return nil
}

// main is the run itself.
func (r *run) main(ctx context.Context) error {
	select {
	case <-r.o.Interrupt: // before anything was begun
		r.stand(true)
		return ErrInterrupted
	default:
	}
	coder := r.o.coder
	switch {
	case coder == nil && r.o.Auto: // the writer asks for coders when it is in place
		coder = func() segment.Coder { return &autoCoder{behind: r.writer.Behind, fast: newCoder(codec.Fastest)} }
	case coder == nil:
		coder = func() segment.Coder { return newCoder(r.o.Level) }
	}
	r.writer = blob.NewWriter(ctx, r.o.Repo, r.sess, r.index, blob.Options{Coder: coder})
	past := r.openJournals()
	r.builder = tree.NewBuilder(r.domain.SplitKey(), r.newWorker(nil).pages)
	r.o.Events.Emit(event.Phase{Name: "back up"})
	err := r.together(ctx, past)
	if !r.leftBehind { // else the scan may be using them
		past.close()
	}
	if err != nil {
		return err
	}
	return r.commit(ctx)
}

// together runs the scan, the workers and the builder until the whole source is in the builder.
func (r *run) together(ctx context.Context, past pastJournals) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.group, ctx = errgroup.WithContext(ctx)
	stop := context.AfterFunc(ctx, func() { r.window.stop(context.Cause(ctx)) })
	defer stop()

	r.spawn(func(v *visitor) error { return r.scan(ctx, v, past) })
	for range r.o.Workers {
		r.spawn(func(v *visitor) error { return r.newWorker(v).work(ctx) })
	}
	timer, end := context.WithCancel(ctx)
	defer end()
	if r.o.CheckpointInterval > 0 {
		r.spawn(func(*visitor) error { r.tick(timer); return nil })
	}
	r.spawn(func(*visitor) error {
		defer end()
		defer close(r.over)
		err := r.build(ctx)
		if errors.Is(err, ErrInterrupted) {
			cancel(ErrInterrupted)
		}
		return err
	})
	err := r.wait(ctx)
	if err != nil && !r.leftBehind {
		r.drop()
	}
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, ErrInterrupted) {
		return ErrInterrupted
	}
	return err
}

// drop gives up what a run that ended early has in its window.
func (r *run) drop() {
	if r.head != nil {
		r.head.drop(r.src)
	}
	for b := range r.window.order { // the scan has closed it
		b.drop(r.src)
	}
}

// scan fills the window.
func (r *run) scan(ctx context.Context, v *visitor, past pastJournals) error {
	defer close(r.window.work)
	defer close(r.window.order)
	s := &scanner{run: r, visitor: v, past: past}
	s.upto, s.since = r.trust()
	s.join = tree.NewJoiner(r.parents, tree.JoinEvents{
		Gone: func(dir []byte, old tree.Old) error { return s.gone(ctx, dir, old) },
		Kept: func(dir []byte, old tree.Old) error { return s.kept(ctx, dir, old) },
	})
	err := s.scan(ctx)
	if err != nil && !errors.Is(err, errLeft) && s.cur != nil {
		s.cur.drop(r.src)
	}
	return err
}

// tick asks for a checkpoint at each interval.
func (r *run) tick(ctx context.Context) {
	for r.o.Repo.Clock().Sleep(ctx, r.o.CheckpointInterval) == nil {
		r.wantCheckpoint()
	}
}

func (r *run) wantCheckpoint() {
	select {
	case r.due <- struct{}{}:
	default: // one is asked for already
	}
}

// count adds bytes read for an op.
func (r *run) count(o *op, n int) {
	o.read += int64(n)
	r.o.Counters.Bytes.Add(int64(n))
	if r.o.CheckpointBytes > 0 && r.fresh.Add(int64(n)) >= r.o.CheckpointBytes {
		r.wantCheckpoint()
	}
}

// giveUp ends the session of a run that failed, even if its context has ended. It returns what is true then: a commit
// whose answer was lost may be found to have succeeded, or not to have happened.
func (r *run) giveUp(ctx context.Context, cause error) error {
	if r.sess == nil || errors.Is(cause, session.ErrKilled) {
		return cause
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	reason := "failed"
	if errors.Is(cause, ErrInterrupted) || errors.Is(cause, context.Canceled) {
		reason = "interrupted"
	}
	if err := r.sess.End(ctx, reason); err != nil {
		r.warn(fmt.Errorf("give the session up (the next backup does it): %w", err))
		return cause
	}
	why, ok := session.WhyUnknown(cause)
	switch {
	case !ok:
		return cause
	case !r.sess.Committed():
		return errs.WithHint(fmt.Errorf("nothing was committed: %w", why), "run the same command again: what was stored so far is not stored again")
	case r.committing.Upto == nil:
		r.note("the answer to the commit was lost (%v); the snapshot is there", why)
		r.finish(ctx, r.committing)
		return nil
	}
	r.latest = &session.Snapshot{ID: r.sess.ID(), Kind: record.Checkpoint, Record: r.committing}
	r.stand(true)
	if r.ending {
		return ErrInterrupted
	}
	return errs.WithHint(fmt.Errorf("the answer to the commit of checkpoint %.8s was lost: %w", r.sess.ID(), why),
		"the checkpoint is there: the same command goes on from it")
}

// close gives up what begin and main opened.
func (r *run) close() {
	r.journal.close()
	if r.writer != nil {
		if err := r.writer.Close(); err != nil {
			r.o.Events.Emit(event.Note{Text: err.Error()})
		}
	}
	if r.pages != nil {
		if err := r.pages.Close(); err != nil {
			r.o.Events.Emit(event.Note{Text: err.Error()})
		}
	}
	if r.index != nil {
		if err := r.index.Close(); err != nil {
			r.o.Events.Emit(event.Note{Text: err.Error()})
		}
	}
}

// linkOf is the hard-link group of an item.
func (r *run) linkOf(it *source.Item) id.Link {
	switch {
	case it.Entry.Inode != 0:
		return r.domain.Link(it.Entry.FS, it.Entry.Inode)
	case it.LinkID != "":
		return r.domain.Link(it.LinkID, 0)
	}
	return id.Link{}
}

// fail records an entry, or a whole directory, that could not be read.
func (r *run) fail(dir, name []byte, class tree.ErrClass, err error) {
	path := tree.JoinPath(nil, dir, name)
	r.mu.Lock()
	r.sum.Record.Stats.Failed++
	if len(r.sum.Record.Errors) < record.MaxErrors {
		r.sum.Record.Errors = append(r.sum.Record.Errors, record.Error{Path: path, Class: uint8(class), Text: clip(err.Error())})
	}
	r.mu.Unlock()
	r.o.Counters.Errors.Add(1)
	r.o.Events.Emit(event.Entry{Path: path, Verdict: event.Failed, Err: err})
}

// removed counts an entry that the parent has and the source has no more.
func (r *run) removed(dir []byte, e *tree.Entry) {
	r.mu.Lock()
	r.sum.Record.Stats.Removed++
	r.mu.Unlock()
	if r.o.Verbose {
		r.o.Events.Emit(event.Entry{Path: tree.JoinPath(nil, dir, e.Name), Verdict: event.Removed})
	}
}

func (r *run) warn(err error) { r.o.Events.Emit(event.Warning{Err: err}) }
func (r *run) note(format string, args ...any) {
	r.o.Events.Emit(event.Note{Text: fmt.Sprintf(format, args...)})
}

// printable makes a path safe to print: control characters are quoted.
func printable(path []byte) string {
	q := fmt.Sprintf("%q", path)
	if s := string(path); strings.Trim(q, `"`) == s {
		return s
	}
	return q
}

// newCoder makes a worker's coder. A level that the codec does not know is a broken invariant: options are validated
// at the face.
func newCoder(l codec.Level) segment.Coder {
	c, err := codec.NewCoder(l)
	if err != nil {
		panic(fmt.Sprintf("backup: coder of level %d: %v", l, err))
	}
	return c
}

// errNoParent says that a stored path of a snapshot is not what this version writes.
var errNoParent = errs.New(errs.Corrupt, "the snapshot's root does not decode")
