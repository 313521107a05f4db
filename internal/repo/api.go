package repo

import (
	"context"
	"crypto/ed25519"
	"sync"

	"filippo.io/age"

	"github.com/nacre-backup/nacre/internal/clock"
	"github.com/nacre-backup/nacre/internal/crypt"
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
}

// InitOptions says what Init makes.
type InitOptions struct {
	Store store.Store
	Clock clock.Clock // nil: the system's
	Rand  clock.Rand  // nil: the system's
	// Credential opens the first slot. NoEncryption makes an open slot instead; both at once are refused.
	Credential   Credential
	NoEncryption bool
	Suite        crypt.Suite  // 0: crypt.SuiteAES
	Argon2       crypt.Argon2 // cost of a password slot; the zero value is the default, tests take less
	SlotLabel    string       // on view in the store; empty: the kind of slot
	StateDir     string       // this machine's folder for the repository's state; empty: nothing is remembered
	Label        string       // of this machine's writer, for instance its host name
	Events       event.Func
}

// OpenOptions says what Open opens.
type OpenOptions struct {
	Store      store.Store
	Clock      clock.Clock
	Rand       clock.Rand
	Credential Credential
	StateDir   string
	Label      string
	Events     event.Func
}

// Repo is an open repository. It is safe for concurrent use. It owns no store: whoever opened the store closes it.
type Repo struct {
	store  store.Store
	clock  clock.Clock
	rand   clock.Rand
	events event.Func
	state  string
	label  string
	boot   crypt.Bootstrap

	mu     sync.Mutex
	kek    crypt.KEK
	ring   *crypt.Ring
	name   id.Name // of the ring's object
	keys   *crypt.ControlKeys
	domain *crypt.Domain
	signer *crypt.Signer
}

// SlotInfo describes a key slot.
type SlotInfo struct {
	ID      crypt.SlotID
	Kind    string // crypt.SlotPassword and its like
	Label   string
	Created int64 // ns
}

// Control is a control object that was opened and whose signature holds.
type Control struct {
	Class  crypt.Class
	Path   string
	Writer id.Writer
	Rights crypt.Rights
	Outer  []byte
	Inner  []byte  // nil if there is none
	Hash   id.Name // B3 of the object's bytes
	Healed bool    // the original did not open, the second copy did
}

// Init makes a repository in a place that holds none and opens it.
func Init(ctx context.Context, o InitOptions) (*Repo, error) { panic("repo: skeleton") }

// Open opens the repository in the store.
func Open(ctx context.Context, o OpenOptions) (*Repo, error) { panic("repo: skeleton") }

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
func (r *Repo) StateDir() string { return r.state }

// ReadOnly says that the repository uses a feature that writers must know and this program does not: it can be read,
// Writer refuses.
func (r *Repo) ReadOnly() bool { return r.boot.ReadOnly }

// Ring is the present generation of the keyring. It is shared and must not be changed.
func (r *Repo) Ring() *crypt.Ring { panic("repo: skeleton") }

// Domain holds the keys of the domain that new blobs go to.
func (r *Repo) Domain() *crypt.Domain { panic("repo: skeleton") }

// DomainOf holds the keys of the domain with that id. It is errs.NotFound where the ring has none.
func (r *Repo) DomainOf(d id.Domain) (*crypt.Domain, error) { panic("repo: skeleton") }

// Unencrypted says that a slot opens without any secret.
func (r *Repo) Unencrypted() bool { panic("repo: skeleton") }

// RegisterClass says that the store has no create-if-absent, so that commits go by intents.
func (r *Repo) RegisterClass() bool { panic("repo: skeleton") }

// NewHeader makes the header and input key of a new pack or index object (classes D, M, I) in the present domain.
func (r *Repo) NewHeader(c crypt.Class) (*crypt.Header, crypt.Key, error) { panic("repo: skeleton") }

// ObjectKey is the input key of an existing pack or index object with that header.
func (r *Repo) ObjectKey(h *crypt.Header) (crypt.Key, error) { panic("repo: skeleton") }

// Writer is this machine's writer, which signs its control objects. It is made and enrolled at first use; its key
// lies in the state folder with mode 0600, and a lost key means a new writer.
func (r *Repo) Writer(ctx context.Context) (*crypt.Signer, error) { panic("repo: skeleton") }

// KnownWriter is the id of this machine's writer, and false where it has none yet. It makes nothing.
func (r *Repo) KnownWriter() (id.Writer, bool) { panic("repo: skeleton") }

// Reload reads the ring again: another client may have enrolled a writer.
func (r *Repo) Reload(ctx context.Context) error { panic("repo: skeleton") }

// ListSlots lists the key slots that the ring names.
func (r *Repo) ListSlots(ctx context.Context) ([]SlotInfo, error) { panic("repo: skeleton") }

// AddSlot adds a key slot for the credential; an empty credential adds an open slot. Where an open slot was the only
// one, adding another kind closes it: the key-encryption key is changed and the open slot deleted.
func (r *Repo) AddSlot(ctx context.Context, c Credential, label string, cost crypt.Argon2) (SlotInfo, error) {
	panic("repo: skeleton")
}

// RemoveSlot takes a key slot away: it makes a new key-encryption key for the others. The last one stays.
func (r *Repo) RemoveSlot(ctx context.Context, s crypt.SlotID) error { panic("repo: skeleton") }

// AddRecoveryWords adds a keyfile slot with a new key and returns the key's 24 words.
func (r *Repo) AddRecoveryWords(ctx context.Context, label string) ([]string, error) {
	panic("repo: skeleton")
}

// SealControl seals and signs a control object by this machine's writer, whose id the outer record must name, and
// opens it again to compare.
func (r *Repo) SealControl(ctx context.Context, class crypt.Class, path string, outer, inner []byte) ([]byte, error) {
	panic("repo: skeleton")
}

// OpenControl opens the bytes that were found at path and verifies the signature of the writer that the outer record
// names (key 2 of every record). Bytes that do not verify are errs.Corrupt; a writer that the ring does not know is
// ErrStranger, which Reload may cure.
func (r *Repo) OpenControl(class crypt.Class, path string, object []byte) (*Control, error) {
	panic("repo: skeleton")
}

// ReadControl gets and opens a control object; one that is damaged or gone is read from dup/ instead, where it has a
// second copy. It is errs.NotFound where there is neither.
func (r *Repo) ReadControl(ctx context.Context, class crypt.Class, path string) (*Control, error) {
	panic("repo: skeleton")
}

// PutCopy puts the second copy of an object under dup/.
func (r *Repo) PutCopy(ctx context.Context, path string, object []byte) error {
	panic("repo: skeleton")
}

// writerKey finds a writer's public key and rights in the ring.
func (r *Repo) writerKey(w id.Writer) (ed25519.PublicKey, crypt.Rights, bool) {
	panic("repo: skeleton")
}
