package crypt

import (
	"crypto/ed25519"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
)

// The wire forms of a generation's parts, FORMAT.md section 5. Byte strings of fixed length are slices here; into and
// readSecrets check their lengths.

type wireRingControl struct {
	Version    uint64       `cbor:"1,keyasint"`
	Repository []byte       `cbor:"2,keyasint"`
	Generation uint32       `cbor:"3,keyasint"`
	Previous   []byte       `cbor:"4,keyasint,omitempty"`
	Created    int64        `cbor:"5,keyasint,omitzero"`
	Suite      Suite        `cbor:"6,keyasint"`
	Epoch      uint32       `cbor:"7,keyasint"`
	DataPack   uint64       `cbor:"8,keyasint"`
	MetaPack   uint64       `cbor:"9,keyasint"`
	Store      StoreClass   `cbor:"10,keyasint"`
	Bootstrap  []byte       `cbor:"11,keyasint"`
	Slots      []wireSlot   `cbor:"12,keyasint,omitempty"`
	Writers    []wireWriter `cbor:"13,keyasint,omitempty"`
	Past       []wireSecret `cbor:"14,keyasint,omitempty"`
	ReaderPub  []byte       `cbor:"15,keyasint"`
	Authority  []byte       `cbor:"16,keyasint"`
	KEK        uint32       `cbor:"17,keyasint"`
}

type wireSlot struct {
	ID   []byte `cbor:"1,keyasint"`
	Hash []byte `cbor:"2,keyasint"`
}

type wireWriter struct {
	Public  []byte   `cbor:"1,keyasint"`
	Rights  Rights   `cbor:"2,keyasint"`
	Label   string   `cbor:"3,keyasint,omitzero"`
	Domain  []byte   `cbor:"4,keyasint,omitempty"`
	Created int64    `cbor:"5,keyasint,omitzero"`
	Trusted bool     `cbor:"6,keyasint,omitzero"`
	Revoked bool     `cbor:"7,keyasint,omitzero"`
	Fates   [][]byte `cbor:"8,keyasint,omitempty"`
}

type wireSecret struct {
	Epoch   uint32 `cbor:"1,keyasint"`
	Secret  []byte `cbor:"2,keyasint,omitempty"`
	Created int64  `cbor:"3,keyasint,omitzero"`
}

type wireRingSecrets struct {
	Version    uint64       `cbor:"1,keyasint"`
	Repository []byte       `cbor:"2,keyasint"`
	Generation uint32       `cbor:"3,keyasint"`
	Control    wireSecret   `cbor:"4,keyasint"`
	Readers    []wireSecret `cbor:"5,keyasint"`
	ReaderSeed []byte       `cbor:"6,keyasint"`
	Authority  []byte       `cbor:"7,keyasint"`
	Domains    []wireDomain `cbor:"8,keyasint"`
}

type wireDomain struct {
	ID      []byte       `cbor:"1,keyasint"`
	Name    string       `cbor:"2,keyasint,omitzero"`
	Root    []byte       `cbor:"3,keyasint"`
	Epochs  []wireSecret `cbor:"4,keyasint"`
	Created int64        `cbor:"5,keyasint,omitzero"`
}

const ringVersion = 1

func (g *Ring) wireControl() wireRingControl {
	w := wireRingControl{
		Version: ringVersion, Repository: g.Repository[:], Generation: g.Generation, Created: g.Created,
		Suite: g.Suite, Epoch: g.Epoch, DataPack: g.DataPack, MetaPack: g.MetaPack, Store: g.Store,
		Bootstrap: g.Bootstrap[:], Past: wireSecrets(g.Past), ReaderPub: g.ReaderPub, Authority: g.Authority, KEK: g.KEK,
	}
	if g.Previous != (id.Name{}) {
		w.Previous = g.Previous[:]
	}
	for i := range g.Slots {
		w.Slots = append(w.Slots, wireSlot{ID: g.Slots[i].ID[:], Hash: g.Slots[i].Hash[:]})
	}
	for i := range g.Writers {
		v := &g.Writers[i]
		x := wireWriter{
			Public: v.Public, Rights: v.Rights, Label: v.Label, Created: v.Created, Trusted: v.Trusted, Revoked: v.Revoked,
		}
		if v.Domain != (id.Domain{}) {
			x.Domain = v.Domain[:]
		}
		for j := range v.Fates {
			x.Fates = append(x.Fates, v.Fates[j][:])
		}
		w.Writers = append(w.Writers, x)
	}
	return w
}

func wireSecrets(in []EpochSecret) (out []wireSecret) {
	for i := range in {
		out = append(out, toWire(&in[i]))
	}
	return out
}

func toWire(e *EpochSecret) wireSecret {
	w := wireSecret{Epoch: e.Epoch, Created: e.Created}
	if !e.Secret.IsZero() {
		w.Secret = e.Secret[:]
	}
	return w
}

func (g *Ring) wireSecrets() wireRingSecrets {
	w := wireRingSecrets{
		Version: ringVersion, Repository: g.Repository[:], Generation: g.Generation, Control: toWire(&g.Control),
		Readers: wireSecrets(g.Readers), ReaderSeed: g.ReaderSeed[:], Authority: g.AuthoritySeed[:],
	}
	for i := range g.Domains {
		d := &g.Domains[i]
		w.Domains = append(w.Domains, wireDomain{
			ID: d.ID[:], Name: d.Name, Root: d.Root[:], Epochs: wireSecrets(d.Epochs), Created: d.Created,
		})
	}
	return w
}

// fields collects the first failure of copying byte strings into fields of fixed length.
type fields struct{ err error }

// copy fills dst; an absent optional field leaves it zero.
func (f *fields) copy(what string, dst, src []byte, optional bool) {
	if len(src) == 0 && optional {
		return
	}
	if len(src) != len(dst) && f.err == nil {
		f.err = errs.New(errs.Corrupt, "keyring: %s of %d bytes, want %d", what, len(src), len(dst))
	}
	copy(dst, src)
}

// secrets converts a list of epochs.
func (f *fields) secrets(what string, in []wireSecret) (out []EpochSecret) {
	for i := range in {
		e := EpochSecret{Epoch: in[i].Epoch, Created: in[i].Created}
		f.copy(what, e.Secret[:], in[i].Secret, true)
		out = append(out, e)
	}
	return out
}

func (w *wireRingControl) into(c *RingControl) error {
	if w.Version != ringVersion {
		return errs.New(errs.Unsupported, "keyring: version %d of the control part", w.Version)
	}
	var f fields
	*c = RingControl{
		Generation: w.Generation, Created: w.Created, Suite: w.Suite, Epoch: w.Epoch, DataPack: w.DataPack,
		MetaPack: w.MetaPack, Store: w.Store, Past: f.secrets("control secret", w.Past), ReaderPub: w.ReaderPub,
		Authority: w.Authority, KEK: w.KEK,
	}
	f.copy("repository id", c.Repository[:], w.Repository, false)
	f.copy("name", c.Previous[:], w.Previous, true)
	f.copy("hash of nacre.json", c.Bootstrap[:], w.Bootstrap, false)
	for _, s := range w.Slots {
		var x RingSlot
		f.copy("slot id", x.ID[:], s.ID, false)
		f.copy("hash of a slot", x.Hash[:], s.Hash, false)
		c.Slots = append(c.Slots, x)
	}
	for _, v := range w.Writers {
		x := RingWriter{
			Public: v.Public, Rights: v.Rights, Label: v.Label, Created: v.Created, Trusted: v.Trusted, Revoked: v.Revoked,
		}
		f.copy("domain id", x.Domain[:], v.Domain, true)
		for _, s := range v.Fates {
			var sid id.Session
			f.copy("session id", sid[:], s, false)
			x.Fates = append(x.Fates, sid)
		}
		c.Writers = append(c.Writers, x)
	}
	if f.err != nil {
		return f.err
	}
	return c.validate()
}

// readSecrets decodes the secret part.
func (g *Ring) readSecrets(b []byte, repo id.Repository, gen uint32) error {
	var w wireRingSecrets
	if err := decodeRecord(b, &w); err != nil {
		return err
	}
	if w.Version != ringVersion {
		return errs.New(errs.Unsupported, "keyring: version %d of the secret part", w.Version)
	}
	var f fields
	var r id.Repository
	f.copy("repository id", r[:], w.Repository, false)
	if f.err == nil && (r != repo || w.Generation != gen) {
		return errs.New(errs.Corrupt, "its secret part belongs to generation %d of repository %s", w.Generation, r)
	}
	s := &g.RingSecrets
	s.Control = EpochSecret{Epoch: w.Control.Epoch, Created: w.Control.Created}
	f.copy("control secret", s.Control.Secret[:], w.Control.Secret, false)
	s.Readers = f.secrets("readers' secret", w.Readers)
	f.copy("readers' seed", s.ReaderSeed[:], w.ReaderSeed, false)
	f.copy("authority's seed", s.AuthoritySeed[:], w.Authority, false)
	for _, d := range w.Domains {
		x := RingDomain{Name: d.Name, Created: d.Created}
		f.copy("domain id", x.ID[:], d.ID, false)
		f.copy("domain root", x.Root[:], d.Root, false)
		x.Epochs = f.secrets("epoch secret", d.Epochs)
		s.Domains = append(s.Domains, x)
	}
	if f.err != nil {
		return f.err
	}
	return s.validate()
}

// validate refuses a generation that no writer makes.
func (g *Ring) validate() error {
	if err := g.RingControl.validate(); err != nil {
		return err
	}
	if g.Control.Epoch != g.Epoch {
		return errs.New(errs.Corrupt, "keyring: control epoch %d beside the secret of %d", g.Epoch, g.Control.Epoch)
	}
	return g.RingSecrets.validate()
}

func (c *RingControl) validate() error {
	bad := func(format string, args ...any) error { return errs.New(errs.Corrupt, "keyring: "+format, args...) }
	switch {
	case c.Generation == 0:
		return bad("generation 0")
	case !c.Suite.Valid():
		return errs.New(errs.Unsupported, "keyring: unknown suite %d", c.Suite)
	case c.Store < StoreAtomic || c.Store > StoreLate:
		return errs.New(errs.Unsupported, "keyring: unknown store class %d", c.Store)
	case !packTarget(c.DataPack) || !packTarget(c.MetaPack):
		return bad("pack sizes %d and %d", c.DataPack, c.MetaPack)
	case len(c.ReaderPub) != xwingPublic:
		return bad("readers' public key of %d bytes", len(c.ReaderPub))
	case len(c.Authority) != ed25519.PublicKeySize:
		return bad("authority's key of %d bytes", len(c.Authority))
	case !ascending(c.Past) || len(c.Past) > 0 && c.Past[len(c.Past)-1].Epoch >= c.Epoch:
		return bad("control epochs out of order")
	}
	for i := range c.Writers {
		w := &c.Writers[i]
		if len(w.Public) != ed25519.PublicKeySize {
			return bad("writer's key of %d bytes", len(w.Public))
		}
	}
	return nil
}

func (s *RingSecrets) validate() error {
	bad := func(format string, args ...any) error { return errs.New(errs.Corrupt, "keyring: "+format, args...) }
	if s.Control.Secret.IsZero() || s.ReaderSeed.IsZero() || s.AuthoritySeed.IsZero() {
		return bad("a secret is missing")
	}
	if len(s.Readers) == 0 || !ascending(s.Readers) {
		return bad("readers' epochs are missing or out of order")
	}
	if len(s.Domains) == 0 {
		return bad("no domain")
	}
	seen := map[id.Domain]bool{{}: true}
	for i := range s.Domains {
		d := &s.Domains[i]
		if seen[d.ID] {
			return bad("domain %s twice, or without an id", d.ID)
		}
		seen[d.ID] = true
		if len(d.Epochs) == 0 || !ascending(d.Epochs) {
			return bad("epochs of domain %s are missing or out of order", d.ID)
		}
	}
	return nil
}

// packTarget reports whether n may be the target size of packs.
func packTarget(n uint64) bool { return n >= minPackTarget && n <= maxPackTarget }

// ascending reports whether epochs grow strictly.
func ascending(e []EpochSecret) bool {
	for i := 1; i < len(e); i++ {
		if e[i].Epoch <= e[i-1].Epoch {
			return false
		}
	}
	return true
}
