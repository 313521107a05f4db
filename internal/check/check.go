// Package check is about whether a repository is whole: every object that something names is there and says what it
// must, and every live snapshot finds every blob that it refers to.
//
// The structure is always checked: nacre.json, key slots and keyring against the hashes that name them; sessions, fates,
// tombstones and condemn records as the listing in the one order shows them, and the graph of fates; the second copies
// against their originals; index objects, each read whole, against the directories of the packs they tell of; packs by
// a listing (there, and as long as their fate says) and by their sealed directories; the trees of all live snapshots,
// each page once, verified by its id; and for each entry that all its blobs are in a pack that is there. With ReadData
// the packs are read whole as well: each is hashed against its name, and each of its segments opened, decoded and
// compared blob by blob with its ids.
//
// What is found is put down to objects (Damage): a second pass over the trees, made only if content is lost, names the
// snapshots and files that need each of them. A file is lost only if no copy of one of its blobs is left.
//
// What is lost is remembered in this machine's state folder, so that its next backup stores it again where the source
// still has it, and no later snapshot rests on the damage (index.Remember).
//
// Check writes nothing to the repository. A pack is called missing only if it was not listed, a listing of the state
// made afterwards still counts it (no fate says that it is gone, no record condemns it), and it still is not there. An
// answer that the store does not give ends the check with an error: it is no damage.
//
// Memory: that of the view, about 250 bytes for each pack, 100 bytes for each tree page, one segment for each worker; and
// 40 bytes for each blob that is lost.
package check

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/nacre-backup/nacre/internal/blob"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/event"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/repo"
	"github.com/nacre-backup/nacre/internal/session"
	"github.com/nacre-backup/nacre/internal/view"
)

// Options of Run. The zero value checks the structure.
type Options struct {
	// ReadData reads packs whole. Subset says which of them; the zero value is all.
	ReadData bool
	Subset   Subset
	// CacheDir is this machine's cache folder for the repository. The index's part of it is used for lookups; pages and
	// index objects are read from the repository all the same. Empty: 33 bytes of memory a blob.
	CacheDir string
	// Workers is how many packs or leaves are read at once; zero is the number of processors, at least 4.
	Workers int
	// Counters, if not nil, shows how far the check is: Bytes of TotalBytes of packs read, Entries of trees.
	Counters *event.Counters
}

// Report is what a check found.
type Report struct {
	Damage []*Damage // in the order of their objects' names
	Notes  []string  // what is worth knowing and no damage, as sentences

	Snapshots    int   // live snapshots and checkpoints whose trees were walked
	Entries      int64 // in leaves that were read; those that snapshots share count once
	Pages        int64 // tree pages read
	Packs        int64 // that count
	PackBytes    int64
	ReadPacks    int64 // packs read whole
	ReadBytes    int64
	Indexes      int // index objects read
	Garbage      int64
	GarbageBytes int64 // of packs and index objects that no committed fate names
}

// OK tells whether nothing is damaged.
func (r *Report) OK() bool { return len(r.Damage) == 0 }

// Run checks the repository. An error says that the check could not be carried out; damage is no error.
func Run(ctx context.Context, r *repo.Repo, o Options) (*Report, error) {
	if o.Workers <= 0 {
		o.Workers = max(4, runtime.GOMAXPROCS(0))
	}
	if o.Counters == nil {
		o.Counters = new(event.Counters)
	}
	c := &checker{
		repo: r, o: o, report: &Report{}, damage: map[string]*Damage{},
		bad: map[place]bool{}, broke: map[record.Pack]bool{},
	}
	c.phase("list")
	v, err := view.Open(ctx, r, view.Options{CacheDir: o.CacheDir})
	if err != nil {
		return nil, fmt.Errorf("check: %w", err)
	}
	c.view, c.state = v, v.State()
	c.pages = blob.NewPages(v.Blobs(), "")
	err = c.run(ctx)
	if err = errors.Join(err, c.pages.Close(), v.Close()); err != nil {
		return nil, fmt.Errorf("check: %w", err)
	}
	c.finish()
	return c.report, nil
}

// checker is one check.
type checker struct {
	repo   *repo.Repo
	view   *view.View
	state  *session.State
	pages  *blob.Pages // without a cache, so that every page comes from the repository
	o      Options
	report *Report

	counted map[record.Pack]bool // packs that count: committed, and no fate says that they are gone
	sound   map[record.Pack]bool // those of them that are there with their size

	walk *walk // the first pass over the trees

	entries, pagesRead, readPacks, readBytes atomic.Int64

	mu     sync.Mutex
	damage map[string]*Damage   // by object
	bad    map[place]bool       // segments and blobs found damaged by reading them
	lost   bool                 // a blob or page that a live snapshot needs has no good copy
	broke  map[record.Pack]bool // packs that cannot be read
	missed []id.Short           // blobs and pages that a live snapshot needs and that have no good copy
	stale  bool                 // a pack that was listed has vanished

	distinct    int // of missed, when it was last sorted
	unheldBlobs int // see unheld
}

// place is a blob of a pack, or a whole segment where slot is -1.
type place struct {
	pack record.Pack
	seg  uint32
	slot int32
}

func (c *checker) run(ctx context.Context) error {
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"check keys", c.keys},
		{"check sessions", c.sessions},
		{"check second copies", c.copies},
		{"list packs", c.packs},
		{"check index", c.indexes},
		{"read packs", c.data},
		{"check trees", c.trees},
		{"name files", c.attribute},
		{"remember", c.remember},
	} {
		if err := ctx.Err(); err != nil {
			return err
		}
		c.phase(step.name)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}

func (c *checker) phase(name string) { c.repo.Events().Emit(event.Phase{Name: name}) }

func (c *checker) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	c.mu.Lock()
	c.report.Notes = append(c.report.Notes, text)
	c.mu.Unlock()
	c.repo.Events().Emit(event.Note{Text: text})
}

// passing tells an answer that did not come from one that says something about the object: it ends the check.
func passing(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, errs.Temporary) || errors.Is(err, errs.Unreachable) || errors.Is(err, errs.Denied)
}
