package index

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/repo"
	"github.com/nacre-backup/nacre/internal/session"
)

// Location says where one copy of a blob is.
type Location struct {
	Pack    record.Pack
	Segment uint32
	Slot    uint16 // its number in the segment
	RawLen  uint32 // bytes of the blob
}

// Options says how an index is opened.
type Options struct {
	// CacheDir is this machine's cache folder for the repository; runs are kept in its subfolder "index". Empty: runs
	// are kept in memory, 33 bytes a blob, and made anew each time.
	CacheDir string
}

// Index knows where blobs are. It is safe for concurrent use. Its memory is 1.3 bytes a blob of the repository (mapped
// from the cache), 1 byte a pack, and 100 MiB at most for the blobs of the running session.
type Index struct {
	repo  *repo.Repo
	cache cache

	runs   atomic.Pointer[[]view] // what is looked up beside the session's own blobs
	shards [shardCount]shard      // the session's own blobs

	mu       sync.Mutex // guards what follows, and every change of runs
	state    *session.State
	fresh    table                // the session's packs that are in no run yet
	own      map[record.Pack]bool // every pack of the session
	pending  []Pack               // the session's packs that are in no index object yet
	pendingN int                  // bytes of their directories
	written  []id.Name            // index objects of the session
	problems []error
	closers  []*run // everything that was ever mapped
}

// Open reads what the repository's index objects say and the cache does not know yet, and the directories of usable
// packs of which no readable object tells. Damage is no error: Problems tells of it. A store that does not answer is.
func Open(ctx context.Context, r *repo.Repo, st *session.State, o Options) (*Index, error) {
	panic("index: skeleton")
}

// Refresh takes a newer state and reads what is new, for readers that missed a pack and for writers that go on in a
// successor session.
func (x *Index) Refresh(ctx context.Context, st *session.State) error { panic("index: skeleton") }

// Lookup returns the best copy of a blob for reading: in a usable pack if there is one.
func (x *Index) Lookup(s id.Short) (Location, bool) { panic("index: skeleton") }

// Copies appends every known copy of a blob to dst, the best first: those in usable packs, then those in packs that are
// condemned or of sessions without a committed fate.
func (x *Index) Copies(dst []Location, s id.Short) []Location { panic("index: skeleton") }

// Claim asks whether a blob needs to be stored, and takes on storing it, in one step. known means that it stands in a
// usable pack that a trusted index object or the pack itself told of, or that it was claimed before by this Index; of
// several that ask at once for a new blob exactly one is told known = false and must store it.
func (x *Index) Claim(s id.Short) (known bool) { panic("index: skeleton") }

// Add tells of a pack that the session stored or adopted. Every ~8 MiB of directories an index object is put and given
// to the session.
func (x *Index) Add(ctx context.Context, s *session.Session, p Pack) error { panic("index: skeleton") }

// AddPacks reads the directories of packs that the session adopted and adds them. A pack that cannot be read is left
// out and reported by Problems.
func (x *Index) AddPacks(ctx context.Context, s *session.Session, packs []record.Pack) error {
	panic("index: skeleton")
}

// Write puts the index object of the packs added since the last one and gives its name to the session. Call it after
// the last pack and before the commit, and before each checkpoint.
func (x *Index) Write(ctx context.Context, s *session.Session) error { panic("index: skeleton") }

// Problems lists what was found damaged or missing: index objects, packs' directories, files of the cache.
func (x *Index) Problems() []error { panic("index: skeleton") }

// Stats counts what the index knows.
type Stats struct {
	Blobs int64 // rows, copies included
	Packs int64
	Runs  int
	Fresh int64 // blobs claimed and not in a run yet
}

// Stats returns the present figures.
func (x *Index) Stats() Stats { panic("index: skeleton") }

// Close gives up the mappings. No other method may be called any more.
func (x *Index) Close() error { panic("index: skeleton") }
