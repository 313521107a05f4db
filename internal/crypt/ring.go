package crypt

import (
	"crypto/ed25519"
	"fmt"

	"github.com/nacre-backup/nacre/internal/clock"
	"github.com/nacre-backup/nacre/internal/errs"
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
	Generation uint32  // 1 for the first
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
	Past       []EpochSecret // control secrets of earlier epochs, ascending
	ReaderPub  []byte        // X-Wing public key of the readers
	Authority  []byte        // Ed25519 public key that signs ring generations
	KEK        uint32        // number of the key-encryption key
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
	Control       EpochSecret   // the control secret of the present epoch
	Readers       []EpochSecret // readers' secrets, ascending epochs; the last is the present one
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

// Target sizes of packs in a new repository, and the bounds of what a keyring may say.
const (
	dataPackTarget = 32 << 20
	metaPackTarget = 8 << 20
	minPackTarget  = 1 << 10
	maxPackTarget  = 512 << 20
)

// NewRing makes the first generation: fresh secrets, one domain, no writers and no slots.
func NewRing(r clock.Rand, repo id.Repository, s Suite, now int64) (*Ring, KEK, error) {
	kek := KEK{Number: 1}
	g := &Ring{
		RingControl: RingControl{
			Repository: repo, Generation: 1, Created: now, Suite: s, Epoch: 1,
			DataPack: dataPackTarget, MetaPack: metaPackTarget, Store: StoreAtomic, KEK: kek.Number,
		},
		RingSecrets: RingSecrets{
			Control: EpochSecret{Epoch: 1, Created: now},
			Readers: []EpochSecret{{Epoch: 1, Created: now}},
			Domains: []RingDomain{{Name: "default", Epochs: []EpochSecret{{Epoch: 1, Created: now}}, Created: now}},
		},
	}
	d := &g.Domains[0]
	var did Key
	for _, k := range []*Key{
		&kek.Key, &g.Control.Secret, &g.Readers[0].Secret, &g.ReaderSeed, &g.AuthoritySeed, &d.Root, &d.Epochs[0].Secret, &did,
	} {
		var err error
		if *k, err = NewKey(r); err != nil {
			return nil, KEK{}, err
		}
	}
	copy(d.ID[:], did[:])
	if err := g.publish(); err != nil {
		return nil, KEK{}, err
	}
	return g, kek, nil
}

// publish derives the public halves of the secrets.
func (g *Ring) publish() (err error) {
	g.Authority = NewSigner(g.AuthoritySeed).Public()
	g.ReaderPub, err = ReaderPublic(g.ReaderSeed)
	return err
}

// ringPath is what the signature of a generation covers: its path without its name, which depends on the signature.
func ringPath(gen uint32) string { return fmt.Sprintf("ring/%08x", gen) }

// SealRing seals and signs the generation, opens it again and compares. The bytes' BLAKE3 hash is the <name> of
// ring/<gen>-<name>.
func SealRing(r clock.Rand, g *Ring, k KEK) ([]byte, error) {
	if err := g.validate(); err != nil {
		return nil, err
	}
	if g.KEK != k.Number {
		return nil, errs.New(errs.Usage, "ring generation %d is for key-encryption key %d, not %d", g.Generation, g.KEK, k.Number)
	}
	h, err := NewHeader(r, ClassRing, g.Suite, id.Domain{}, g.Epoch)
	if err != nil {
		return nil, err
	}
	c := Control{Class: ClassRing, Path: ringPath(g.Generation)}
	if c.Outer, err = encodeRecord(g.wireControl()); err != nil {
		return nil, err
	}
	if c.Inner, err = encodeRecord(g.wireSecrets()); err != nil {
		return nil, err
	}
	outer, inner := ringKeys(g.Repository, h.Epoch, g.Control.Secret, k.Key)
	object, err := sealContainer(h, container{outer: c.Outer, inner: c.Inner}, outer, inner)
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", c.Path, err)
	}
	s := NewSigner(g.AuthoritySeed)
	object = sign(object, ClassRing, g.Repository, c.Path, s)
	if err := verifySealed(object, g.Repository, c, s.Public(), outer, inner); err != nil {
		return nil, err
	}
	if _, err := OpenRing(object, g.Repository, g.Generation, k.Key); err != nil {
		return nil, fmt.Errorf("what was sealed as %s does not open again: %w", c.Path, err)
	}
	return object, nil
}

// ringKeys are the input keys of a generation's two parts.
func ringKeys(repo id.Repository, epoch uint32, control, kek Key) (outer, inner Key) {
	return Sub(control, "seal-R", repo, epoch), Sub(kek, "seal-K", repo, 0)
}

// OpenRing opens a generation with the key-encryption key. gen is the number in its path. A generation that does not
// open with k is errs.Corrupt: it is damaged, or sealed under another key-encryption key.
func OpenRing(object []byte, repo id.Repository, gen uint32, k Key) (*Ring, error) {
	g, err := openRing(object, repo, gen, k)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", ringPath(gen), err)
	}
	return g, nil
}

func openRing(object []byte, repo id.Repository, gen uint32, k Key) (*Ring, error) {
	box, err := splitContainer(object, ClassRing)
	if err != nil {
		return nil, err
	}
	if box.inner == nil || box.header.Capsule != nil {
		return nil, errs.New(errs.Corrupt, "not the shape of a ring generation")
	}
	_, inner := ringKeys(repo, 0, Key{}, k)
	b, err := box.open(1, inner)
	if err != nil {
		return nil, err
	}
	g := &Ring{}
	if err := g.readSecrets(b, repo, gen); err != nil {
		return nil, err
	}
	if g.Control.Epoch != box.header.Epoch {
		return nil, errs.New(errs.Corrupt, "control epoch %d in the header, %d inside", box.header.Epoch, g.Control.Epoch)
	}
	pub := NewSigner(g.AuthoritySeed).Public()
	if err := box.verify(repo, ringPath(gen), pub); err != nil {
		return nil, err
	}
	return g, g.readControl(box, repo, gen, g.Control.Secret, pub)
}

// OpenRingControl opens the control part alone, as a put-only writer does, which has the control secret of the
// generation's epoch and knows whose signature it must bear.
func OpenRingControl(object []byte, repo id.Repository, gen uint32, control EpochSecret, authority ed25519.PublicKey) (*RingControl, error) {
	box, err := splitContainer(object, ClassRing)
	if err == nil {
		err = box.verify(repo, ringPath(gen), authority)
	}
	if err == nil && box.header.Epoch != control.Epoch {
		err = errs.New(errs.NotFound, "no control secret of epoch %d", box.header.Epoch)
	}
	g := &Ring{}
	if err == nil {
		err = g.readControl(box, repo, gen, control.Secret, authority)
	}
	if err != nil {
		return nil, fmt.Errorf("open the control part of %s: %w", ringPath(gen), err)
	}
	return &g.RingControl, nil
}

// readControl opens and decodes the outer part.
func (g *Ring) readControl(box *container, repo id.Repository, gen uint32, control Key, authority ed25519.PublicKey) error {
	outer, _ := ringKeys(repo, box.header.Epoch, control, Key{})
	b, err := box.open(0, outer)
	if err != nil {
		return err
	}
	var w wireRingControl
	if err := decodeRecord(b, &w); err != nil {
		return err
	}
	if err := w.into(&g.RingControl); err != nil {
		return err
	}
	switch {
	case g.Repository != repo || g.Generation != gen:
		return errs.New(errs.Corrupt, "it says that it is generation %d of repository %s", g.Generation, g.Repository)
	case g.Epoch != box.header.Epoch:
		return errs.New(errs.Corrupt, "control epoch %d in the header, %d inside", box.header.Epoch, g.Epoch)
	case !authority.Equal(ed25519.PublicKey(g.Authority)):
		return errs.New(errs.Corrupt, "it names another authority than the one that signed it")
	}
	return nil
}

// ControlKeys makes the keys of the control objects.
func (g *Ring) ControlKeys() *ControlKeys {
	k := &ControlKeys{
		Repository: g.Repository, Suite: g.Suite, Epoch: g.Epoch,
		Control: map[uint32]Key{g.Control.Epoch: g.Control.Secret}, Readers: map[uint32]Key{},
		ReaderSeed: g.ReaderSeed, ReaderPub: g.ReaderPub,
	}
	for _, e := range g.Past {
		k.Control[e.Epoch] = e.Secret
	}
	for _, e := range g.Readers {
		k.Readers[e.Epoch] = e.Secret
	}
	return k
}

// ObjectKey is the input key for opening or sealing the object with header h, of class D, M or I: from the domain's
// epoch secret, or from the capsule. An unknown domain or epoch is errs.NotFound.
func (g *Ring) ObjectKey(h *Header) (Key, error) {
	if h.Class.Control() {
		return Key{}, errs.New(errs.Usage, "class %s is no class of packs", h.Class)
	}
	if h.Capsule != nil {
		return OpenCapsule(g.ReaderSeed, h.Capsule)
	}
	d, err := g.Domain(h.Domain)
	if err != nil {
		return Key{}, err
	}
	for _, e := range d.Epochs {
		if e.Epoch != h.Epoch {
			continue
		}
		if e.Secret.IsZero() {
			return Key{}, errs.New(errs.NotFound, "the secret of epoch %d of domain %s is destroyed", h.Epoch, h.Domain)
		}
		return SealKey(e.Secret, h.Class, h.Domain, h.Epoch), nil
	}
	return Key{}, errs.New(errs.NotFound, "the keyring has no epoch %d of domain %s", h.Epoch, h.Domain)
}

// Domain returns the domain with that id, or the default one for a zero id.
func (g *Ring) Domain(d id.Domain) (*RingDomain, error) {
	for i := range g.Domains {
		if d == (id.Domain{}) || g.Domains[i].ID == d {
			return &g.Domains[i], nil
		}
	}
	return nil, errs.New(errs.NotFound, "the keyring has no domain %s", d)
}

// NewHeader makes the header of a new pack or index object in the domain's newest epoch.
func (g *Ring) NewHeader(r clock.Rand, c Class, d id.Domain) (*Header, error) {
	dom, err := g.Domain(d)
	if err != nil {
		return nil, err
	}
	return NewHeader(r, c, g.Suite, dom.ID, dom.Epochs[len(dom.Epochs)-1].Epoch)
}
