package crypt

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"

	"github.com/nacre-backup/nacre/internal/clock"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
)

// maxControl is how large a control object may be.
const maxControl = 64 << 20

// ControlKeys are what seals and opens control objects of every class but R. Ring.ControlKeys makes them.
type ControlKeys struct {
	Repository id.Repository
	Suite      Suite
	Epoch      uint32         // the epoch that new objects are sealed in
	Control    map[uint32]Key // control secrets by epoch
	Readers    map[uint32]Key // readers' secrets by epoch; nil for a put-only writer
	ReaderSeed Key            // opens capsules; zero for a put-only writer
	ReaderPub  []byte         // X-Wing public key of the readers: a put-only writer seals inner parts to it
}

// Control is a control object before sealing: who signs what under which name.
type Control struct {
	Class Class
	Path  string // the object's path in the store, bound into the signature
	Outer []byte // the record that every writer can open
	Inner []byte // the record that only readers can open; nil if there is none
}

// Opened is an opened and verified control object.
type Opened struct {
	Control
	HasInner bool // there is an inner part, even if the keys do not open it
	Signer   ed25519.PublicKey
}

// SealControl seals and signs a control object, opens it again and compares (law 6).
func SealControl(r clock.Rand, k *ControlKeys, c Control, s *Signer) ([]byte, error) {
	if !c.Class.Control() || c.Class == ClassRing {
		return nil, errs.New(errs.Usage, "seal %s: class %s is not sealed here", c.Path, c.Class)
	}
	h, err := NewHeader(r, c.Class, k.Suite, id.Domain{}, k.Epoch)
	if err != nil {
		return nil, err
	}
	outer, err := k.outerKey(h)
	if err != nil {
		return nil, err
	}
	var inner Key
	if c.Inner != nil {
		var ok bool
		if inner, ok = k.Readers[k.Epoch]; ok {
			inner = Sub(inner, "seal-inner", k.Repository, k.Epoch)
		} else if h.Capsule, inner, err = NewCapsule(k.ReaderPub); err != nil {
			return nil, err
		}
	}
	object, err := sealContainer(h, container{outer: c.Outer, inner: c.Inner}, outer, inner)
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", c.Path, err)
	}
	object = sign(object, c.Class, k.Repository, c.Path, s)
	return object, verifySealed(object, k.Repository, c, s.Public(), outer, inner)
}

// OpenControl opens the object that was found at path and verifies its signature. signer is called with the opened
// outer part and tells whose signature it must be; its error is returned as it is. Without the readers' secret Inner
// stays nil and HasInner tells. A failure of bytes, class, path or signature is errs.Corrupt; an epoch whose secret k
// does not have is errs.NotFound.
func OpenControl(k *ControlKeys, class Class, path string, object []byte,
	signer func(outer []byte) (ed25519.PublicKey, error),
) (*Opened, error) {
	box, err := splitContainer(object, class)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	outer, err := k.outerKey(box.header)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	o := &Opened{Control: Control{Class: class, Path: path}, HasInner: box.inner != nil}
	if o.Outer, err = box.open(0, outer); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	if o.Signer, err = signer(o.Outer); err != nil {
		return nil, err
	}
	if err := box.verify(k.Repository, path, o.Signer); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	inner, ok, err := k.innerKey(box.header)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	if ok && o.HasInner {
		if o.Inner, err = box.open(1, inner); err != nil {
			return nil, fmt.Errorf("open the inner part of %s: %w", path, err)
		}
	}
	return o, nil
}

// outerKey is the input key of the outer part.
func (k *ControlKeys) outerKey(h *Header) (Key, error) {
	secret, ok := k.Control[h.Epoch]
	if !ok {
		return Key{}, errs.New(errs.NotFound, "no control secret of epoch %d", h.Epoch)
	}
	return Sub(secret, "seal-"+h.Class.String(), k.Repository, h.Epoch), nil
}

// innerKey is the input key of the inner part; ok is false if these keys do not reach it.
func (k *ControlKeys) innerKey(h *Header) (key Key, ok bool, err error) {
	if h.Capsule != nil {
		if k.ReaderSeed.IsZero() {
			return Key{}, false, nil
		}
		key, err = OpenCapsule(k.ReaderSeed, h.Capsule)
		return key, err == nil, err
	}
	secret, ok := k.Readers[h.Epoch]
	if !ok {
		return Key{}, false, nil
	}
	return Sub(secret, "seal-inner", k.Repository, h.Epoch), true, nil
}

// container is a control object taken apart. Before sealing outer and inner are plain, after splitting they are sealed.
type container struct {
	header       *Header
	outer, inner []byte // inner is nil if there is none
	before       []byte // everything that is signed
	signature    []byte
}

// sealContainer makes everything of a control object but its signature: header, then the parts, each with its length,
// then the signature suite.
func sealContainer(h *Header, plain container, outer, inner Key) ([]byte, error) {
	if len(plain.outer) > maxRawControl || len(plain.inner) > maxRawControl {
		return nil, errs.New(errs.Usage, "records of %d and %d bytes, the limit is %d", len(plain.outer), len(plain.inner), maxRawControl)
	}
	b := h.Append(make([]byte, 0, h.Size()+len(plain.outer)+len(plain.inner)+256))
	for segno, part := range [][]byte{plain.outer, plain.inner} {
		if segno == 1 && part == nil {
			b = binary.LittleEndian.AppendUint32(b, 0)
			continue
		}
		s, err := NewSealer(h, []Key{outer, inner}[segno])
		if err != nil {
			return nil, err
		}
		b = binary.LittleEndian.AppendUint32(b, uint32(SealedLen(len(part), len(part))))
		b = s.Seal(b, uint32(segno), 0, len(part), nil, part)
	}
	return append(b, signEd25519), nil
}

// sign appends the signature.
func sign(object []byte, c Class, repo id.Repository, path string, s *Signer) []byte {
	return append(object, ed25519.Sign(s.priv, signInput(c, repo, path, object))...)
}

// splitContainer takes a control object apart without opening it.
func splitContainer(object []byte, class Class) (*container, error) {
	if len(object) > maxControl {
		return nil, errs.New(errs.Corrupt, "control object of %d bytes, the limit is %d", len(object), maxControl)
	}
	h, err := ParseHeader(object)
	if err != nil {
		return nil, err
	}
	if h.Class != class {
		return nil, errs.New(errs.Corrupt, "class %s where %s is expected", h.Class, class)
	}
	box := &container{header: h}
	rest := object[h.Size():]
	for _, part := range []*[]byte{&box.outer, &box.inner} {
		if len(rest) < 4 {
			return nil, errs.New(errs.Corrupt, "control object ends early")
		}
		n := binary.LittleEndian.Uint32(rest)
		rest = rest[4:]
		if uint64(n) > uint64(len(rest)) {
			return nil, errs.New(errs.Corrupt, "control object ends early")
		}
		if n > 0 {
			*part = rest[:n:n]
		}
		rest = rest[n:]
	}
	if box.outer == nil {
		return nil, errs.New(errs.Corrupt, "control object without an outer part")
	}
	if len(rest) != 1+ed25519.SignatureSize {
		return nil, errs.New(errs.Corrupt, "signature of %d bytes", len(rest))
	}
	if rest[0] != signEd25519 {
		return nil, errs.New(errs.Unsupported, "unknown signature suite %d", rest[0])
	}
	box.signature = rest[1:]
	box.before = object[:len(object)-ed25519.SignatureSize]
	return box, nil
}

// open opens part 0 (outer) or 1 (inner).
func (b *container) open(segno uint32, ikm Key) ([]byte, error) {
	o, err := NewOpener(b.header, ikm)
	if err != nil {
		return nil, err
	}
	p, err := o.Open(nil, [][]byte{b.outer, b.inner}[segno], segno, nil)
	if err != nil {
		return nil, err
	}
	if p.Codec != 0 {
		return nil, errs.New(errs.Unsupported, "control object with codec %d", p.Codec)
	}
	return p.Payload, nil
}

// verify checks the signature.
func (b *container) verify(repo id.Repository, path string, pub ed25519.PublicKey) error {
	if len(pub) != ed25519.PublicKeySize ||
		!ed25519.Verify(pub, signInput(b.header.Class, repo, path, b.before), b.signature) {
		return errs.New(errs.Corrupt, "the signature does not verify: damaged, moved or forged")
	}
	return nil
}

// verifySealed opens what was just sealed and compares it with what went in (law 6).
func verifySealed(object []byte, repo id.Repository, c Control, pub ed25519.PublicKey, outer, inner Key) error {
	box, err := splitContainer(object, c.Class)
	if err == nil {
		err = box.verify(repo, c.Path, pub)
	}
	for segno, want := range [][]byte{c.Outer, c.Inner} {
		if err != nil || want == nil {
			continue
		}
		var got []byte
		if got, err = box.open(uint32(segno), []Key{outer, inner}[segno]); err == nil && !bytes.Equal(got, want) {
			err = errs.New(errs.Corrupt, "part %d differs", segno)
		}
	}
	if err != nil {
		return errs.WithHint(fmt.Errorf("what was sealed as %s does not open again: %w", c.Path, err), "test the memory of this machine")
	}
	return nil
}
