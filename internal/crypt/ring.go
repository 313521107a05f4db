package crypt

import (
	"github.com/nacre-backup/nacre/internal/clock"
	"github.com/nacre-backup/nacre/internal/id"
)

// Rights of a writer, a set of bits.
type Rights uint8

// The rights.
const (
	RightWrite Rights = 1 // writes and reads everything
	RightPut   Rights = 2 // creates, but reads no content
	RightPrune Rights = 4 // condemns, kills, deletes
)

// StoreClass says what the store offers at commit.
type StoreClass uint8

// The store classes.
const (
	StoreAtomic   StoreClass = 1 // create-if-absent
	StoreRegister StoreClass = 2 // plain writes and reads only
	StoreLate     StoreClass = 3 // listings come late
)

// Ring is one generation of the keyring, opened.
type Ring struct {
	RingControl
	RingSecrets
}

// RingControl is the part that every writer can open.
type RingControl struct {
	Repository id.Repository
	Generation uint32
	Previous   id.Name // name of the generation before; zero in the first
	Created    int64   // ns
	Suite      Suite
	Epoch      uint32 // control epoch that new objects are sealed in
	DataPack   uint64 // target size of data packs
	MetaPack   uint64 // target size of metadata packs
	Store      StoreClass
	Bootstrap  [32]byte // BLAKE3 of nacre.json
	Slots      []RingSlot
	Writers    []RingWriter
	ReaderPub  []byte // X-Wing public key of the readers
	Authority  []byte // Ed25519 public key that signs ring generations
	KEK        uint32 // number of the key-encryption key
}

// RingSlot names a key slot and the hash of its file.
type RingSlot struct {
	ID   SlotID
	Hash [32]byte
}

// RingWriter is a writer that may sign control objects.
type RingWriter struct {
	Public  []byte
	Rights  Rights
	Label   string
	Domain  id.Domain
	Created int64
	Trusted bool         // fates of a put writer serve claims to everyone
	Revoked bool         // only the listed fates count
	Fates   []id.Session // with Revoked: the fates that still count
}

// RingSecrets is the part that only holders of the key-encryption key can open.
type RingSecrets struct {
	Control       []EpochSecret // control secrets, ascending epochs
	Readers       []EpochSecret // readers' secrets, ascending epochs
	ReaderSeed    Key           // X-Wing private seed of the readers
	AuthoritySeed Key           // Ed25519 seed that signs ring generations
	Domains       []RingDomain  // the first is the default
}

// EpochSecret is the secret of an epoch; zero if destroyed.
type EpochSecret struct {
	Epoch   uint32
	Secret  Key
	Created int64
}

// RingDomain is a deduplication domain.
type RingDomain struct {
	ID      id.Domain
	Name    string
	Root    Key
	Epochs  []EpochSecret // ascending; new packs use the last
	Created int64
}

// KEK is the key-encryption key with its number, which grows at each change.
type KEK struct {
	Key    Key
	Number uint32
}

// NewRing makes the first generation: fresh secrets, one domain, no writers and no slots.
func NewRing(r clock.Rand, repo id.Repository, s Suite, now int64) (*Ring, KEK, error) {
	panic("crypt: skeleton")
}

// SealRing seals and signs the generation, opens it again and compares. The bytes' BLAKE3 hash is the <name> of
// ring/<gen>-<name>.
func SealRing(r clock.Rand, g *Ring, k KEK) ([]byte, error) { panic("crypt: skeleton") }

// OpenRing opens a generation with the key-encryption key. gen is the number in its path.
func OpenRing(object []byte, repo id.Repository, gen uint32, k Key) (*Ring, error) {
	panic("crypt: skeleton")
}

// ControlKeys makes the keys of the control objects.
func (g *Ring) ControlKeys() *ControlKeys { panic("crypt: skeleton") }

// ObjectKey is the input key for opening or sealing the object with header h, of class D, M or I: from the domain's
// epoch secret, or from the capsule. An unknown domain or epoch is errs.NotFound.
func (g *Ring) ObjectKey(h *Header) (Key, error) { panic("crypt: skeleton") }

// Domain returns the domain with that id, or the default one for a zero id.
func (g *Ring) Domain(d id.Domain) (*RingDomain, error) { panic("crypt: skeleton") }

// NewHeader makes the header of a new pack or index object in the domain's newest epoch.
func (g *Ring) NewHeader(r clock.Rand, c Class, d id.Domain) (*Header, error) { panic("crypt: skeleton") }
