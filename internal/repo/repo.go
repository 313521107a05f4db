package repo

import (
	"context"
	"fmt"
	"sync"

	"filippo.io/age"

	"github.com/nacre-backup/nacre/internal/clock"
	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/event"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/store"
)

// Credential is what a user opens a repository with. Exactly one field is set; none is set for a repository without
// encryption.
type Credential struct {
	Password   []byte
	Keyfile    []byte // the content of a keyfile; recovery words count as one
	Words      string // 24 recovery words
	Identities []age.Identity
	// Recipients are whom AddSlot makes an age slot for. They open nothing.
	Recipients []age.Recipient
}

// Repo is an open repository. It is safe for concurrent use. It owns no store: whoever opened the store closes it.
// Beside the keyring it holds nothing that grows with the repository.
type Repo struct {
	store  store.Store
	clock  clock.Clock
	rand   clock.Rand
	events event.Func
	state  *state
	label  string
	boot   *crypt.Bootstrap

	memo memo

	changing sync.Mutex // held by whoever changes the keyring or makes the writer; taken before mu

	mu       sync.RWMutex
	kek      crypt.KEK
	ring     *crypt.Ring // shared with callers, replaced whole, never changed
	names    []id.Name   // of the ring's objects of the highest generation, ascending
	keys     *crypt.ControlKeys
	domain   *crypt.Domain
	signer   *crypt.Signer
	openSlot bool
}

// ID is the repository's id.
func (r *Repo) ID() id.Repository { return r.boot.Repository }

// Store is where the repository's objects are.
func (r *Repo) Store() store.Store { return r.store }

// Clock is the clock that Open was given.
func (r *Repo) Clock() clock.Clock { return r.clock }

// Rand is the source of random bytes that Open was given.
func (r *Repo) Rand() clock.Rand { return r.rand }

// Events is where facts are reported.
func (r *Repo) Events() event.Func { return r.events }

// StateDir is this machine's folder for the repository's state, empty where there is none.
func (r *Repo) StateDir() string { return r.state.dir }

// ReadOnly says that the repository uses a feature that writers must know and this program does not: it can be read,
// Writer refuses.
func (r *Repo) ReadOnly() bool { return r.boot.ReadOnly }

// Ring is the present generation of the keyring. It is shared and must not be changed.
func (r *Repo) Ring() *crypt.Ring {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.ring
}

// controlKeys are the keys of the control objects.
func (r *Repo) controlKeys() *crypt.ControlKeys {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.keys
}

// Domain holds the keys of the domain that new blobs go to.
func (r *Repo) Domain() *crypt.Domain {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.domain
}

// DomainOf holds the keys of the domain with that id. It is errs.NotFound where the ring has none.
func (r *Repo) DomainOf(d id.Domain) (*crypt.Domain, error) {
	if dom := r.Domain(); dom.Scope() == d {
		return dom, nil
	}
	rd, err := r.Ring().Domain(d)
	if err != nil {
		return nil, err
	}
	return crypt.NewDomain(rd.ID, rd.Root), nil
}

// Unencrypted says that a slot opens without any secret.
func (r *Repo) Unencrypted() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.openSlot
}

// RegisterClass says that the store has no create-if-absent, so that commits go by intents.
func (r *Repo) RegisterClass() bool { return r.Ring().Store != crypt.StoreAtomic }

// NewHeader makes the header and input key of a new pack or index object (classes D, M, I) in the present domain.
func (r *Repo) NewHeader(c crypt.Class) (*crypt.Header, crypt.Key, error) {
	ring := r.Ring()
	h, err := ring.NewHeader(r.rand, c, r.Domain().Scope())
	if err != nil {
		return nil, crypt.Key{}, err
	}
	k, err := ring.ObjectKey(h)
	return h, k, err
}

// ObjectKey is the input key of an existing pack or index object with that header.
func (r *Repo) ObjectKey(h *crypt.Header) (crypt.Key, error) { return r.Ring().ObjectKey(h) }

// adopt makes a joined ring the present one.
func (r *Repo) adopt(j *joined, kek crypt.KEK) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ring, r.names, r.kek = j.ring, j.names, kek
	r.keys = j.ring.ControlKeys()
	d := &j.ring.Domains[0]
	if r.domain == nil || r.domain.Scope() != d.ID {
		r.domain = crypt.NewDomain(d.ID, d.Root)
	}
}

// now is the present time in nanoseconds.
func (r *Repo) now() int64 { return r.clock.Now().UnixNano() }

// warn reports what the user must know.
func (r *Repo) warn(format string, args ...any) {
	r.events.Emit(event.Warning{Err: fmt.Errorf(format, args...)})
}

// maxJSON is the format's limit for nacre.json and slot files, maxControl that for control objects.
const (
	maxJSON    = 64 << 10
	maxControl = 64 << 20
)

// get reads a whole small object.
func (r *Repo) get(ctx context.Context, path string, limit int64) ([]byte, error) {
	b, err := store.ReadAll(ctx, r.store, path, limit)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return b, nil
}

// put stores an object.
func (r *Repo) put(ctx context.Context, path string, b []byte) error {
	if err := r.store.Put(ctx, path, store.Bytes(b)); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// flush makes what was put durable.
func (r *Repo) flush(ctx context.Context) error {
	if err := r.store.Flush(ctx); err != nil {
		return fmt.Errorf("flush the store: %w", err)
	}
	return nil
}

// list returns the names under prefix without it.
func (r *Repo) list(ctx context.Context, prefix string) ([]string, error) {
	var names []string
	err := r.store.List(ctx, prefix, func(i store.Info) error {
		names = append(names, i.Name[len(prefix):])
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", prefix, err)
	}
	return names, nil
}

// defaults fills in what the options left out.
func defaults(c clock.Clock, rnd clock.Rand) (clock.Clock, clock.Rand) {
	if c == nil {
		c = clock.System{}
	}
	if rnd == nil {
		rnd = clock.Random
	}
	return c, rnd
}

// unlock turns a credential into what a slot opens with.
func (c *Credential) unlock() (crypt.Unlock, error) {
	var u crypt.Unlock
	n := 0
	if c.Password != nil {
		u.Password = c.Password
		n++
	}
	if c.Keyfile != nil {
		k, err := crypt.ParseKeyfile(c.Keyfile)
		if err != nil {
			return u, errs.As(errs.WrongKey, fmt.Errorf("read the keyfile: %w", err))
		}
		u.Key = k
		n++
	}
	if c.Words != "" {
		k, err := crypt.ParseWords(c.Words)
		if err != nil {
			return u, errs.As(errs.WrongKey, fmt.Errorf("read the recovery words: %w", err))
		}
		u.Key = k
		n++
	}
	if len(c.Identities) > 0 {
		u.Identities = c.Identities
		n++
	}
	if n > 1 {
		return u, errs.New(errs.Usage, "%d credentials given, one is needed", n)
	}
	return u, nil
}

// empty says that nothing is given.
func (c *Credential) empty() bool {
	return c.Password == nil && c.Keyfile == nil && c.Words == "" && len(c.Identities) == 0 && len(c.Recipients) == 0
}
