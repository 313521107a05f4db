package crypt

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
)

// fullRing is a generation in which every field says something, the same in every run.
func fullRing(tb testing.TB) (*Ring, KEK) {
	tb.Helper()
	g, kek, err := NewRing(seeded(4), testRepo, SuiteAES, testTime.UnixNano())
	if err != nil {
		tb.Fatal(err)
	}
	kek.Number, g.KEK = 3, 3
	g.Generation, g.Previous = 9, id.Name{1, 2, 3}
	g.Epoch, g.Control.Epoch = 2, 2
	g.Store = StoreRegister
	g.Bootstrap = [32]byte{5}
	g.Past = []EpochSecret{{Epoch: 0, Secret: countingKey(50), Created: 3}, {Epoch: 1, Secret: countingKey(51)}}
	g.Readers = []EpochSecret{{Epoch: 1, Secret: countingKey(52)}, {Epoch: 2, Secret: countingKey(53), Created: 7}}
	g.Slots = []RingSlot{{ID: SlotID{1}, Hash: [32]byte{2}}, {ID: SlotID{3}, Hash: [32]byte{4}}}
	g.Writers = []RingWriter{
		{Public: NewSigner(countingKey(1)).Public(), Rights: RightWrite | RightPrune, Label: "host", Created: 1},
		{Public: NewSigner(countingKey(2)).Public(), Rights: RightPut, Domain: id.Domain{9}, Trusted: true, Revoked: true, Fates: []id.Session{{1}, {2}}},
	}
	g.Domains = append(g.Domains, RingDomain{
		ID: id.Domain{9}, Name: "second", Root: countingKey(60), Created: 2,
		Epochs: []EpochSecret{{Epoch: 1, Created: 2}, {Epoch: 3, Secret: countingKey(61)}},
	})
	return g, kek
}

func TestAKeyringReadsBackAsItWasWritten(t *testing.T) {
	t.Parallel()
	full, kek := fullRing(t)
	first, kek1, err := NewRing(seeded(4), testRepo, SuiteChaCha, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		g *Ring
		k KEK
	}{{full, kek}, {first, kek1}} {
		object, err := SealRing(seeded(1), c.g, c.k)
		if err != nil {
			t.Fatal(err)
		}
		got, err := OpenRing(object, testRepo, c.g.Generation, c.k.Key)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.g, got); diff != "" {
			t.Error(diff)
		}
		control, err := OpenRingControl(object, testRepo, c.g.Generation, c.g.Control, c.g.Authority)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&c.g.RingControl, control); diff != "" {
			t.Error(diff)
		}
	}
}

func TestAKeyringOpensForItsOwnKeyAndPlaceOnly(t *testing.T) {
	t.Parallel()
	g, kek := fullRing(t)
	object, err := SealRing(seeded(1), g, kek)
	if err != nil {
		t.Fatal(err)
	}
	strange := testRepo
	strange[0]++
	for name, open := range map[string]func() (*Ring, error){
		"other key":        func() (*Ring, error) { return OpenRing(object, testRepo, 9, countingKey(1)) },
		"other generation": func() (*Ring, error) { return OpenRing(object, testRepo, 10, kek.Key) },
		"other repository": func() (*Ring, error) { return OpenRing(object, strange, 9, kek.Key) },
	} {
		if _, err := open(); !errors.Is(err, errs.Corrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := range object {
		b := bytes.Clone(object)
		b[i] ^= 1 << (i % 8)
		if _, err := OpenRing(b, testRepo, 9, kek.Key); !errors.Is(err, errs.Corrupt) && !errors.Is(err, errs.Unsupported) {
			t.Fatalf("byte %d flipped: %v", i, err)
		}
	}
	authority := g.Authority
	for name, open := range map[string]func() (*RingControl, error){
		"other secret": func() (*RingControl, error) {
			return OpenRingControl(object, testRepo, 9, EpochSecret{Epoch: 2, Secret: countingKey(1)}, authority)
		},
		"other epoch": func() (*RingControl, error) {
			return OpenRingControl(object, testRepo, 9, EpochSecret{Epoch: 1, Secret: g.Control.Secret}, authority)
		},
		"other authority": func() (*RingControl, error) {
			return OpenRingControl(object, testRepo, 9, g.Control, NewSigner(countingKey(1)).Public())
		},
		"damage": func() (*RingControl, error) { return OpenRingControl(object[1:], testRepo, 9, g.Control, authority) },
	} {
		if _, err := open(); !errors.Is(err, errs.Corrupt) && !errors.Is(err, errs.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAControlPartCannotBeForgedByWhoeverReadsIt shows the attack of a put-only writer: it has the control secret, so it
// can seal a control part with rights of its own beside the secret part of a true generation.
func TestAControlPartCannotBeForgedByWhoeverReadsIt(t *testing.T) {
	t.Parallel()
	g, kek := fullRing(t)
	object, err := SealRing(seeded(1), g, kek)
	if err != nil {
		t.Fatal(err)
	}
	box, err := splitContainer(object, ClassRing)
	if err != nil {
		t.Fatal(err)
	}
	mallory := NewSigner(countingKey(77))
	forged := *g
	forged.Writers = []RingWriter{{Public: mallory.Public(), Rights: RightWrite | RightPrune}}
	rec, err := encodeRecord(forged.wireControl())
	if err != nil {
		t.Fatal(err)
	}
	outer, _ := ringKeys(testRepo, g.Epoch, g.Control.Secret, Key{})
	b, err := sealContainer(box.header, container{outer: rec}, outer, Key{})
	if err != nil {
		t.Fatal(err)
	}
	b = b[:len(b)-5] // without an inner part and signature suite
	b = append(b, object[len(object)-ed25519Tail-len(box.inner)-4:len(object)-64]...)
	b = sign(b, ClassRing, testRepo, ringPath(9), mallory)
	if _, err := OpenRing(b, testRepo, 9, kek.Key); !errors.Is(err, errs.Corrupt) || !strings.Contains(err.Error(), "signature") {
		t.Errorf("a forged control part: %v", err)
	}
}

const ed25519Tail = 1 + 64

func TestKeyringsThatNoWriterMakesAreRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(g *Ring){
		"generation 0":                 func(g *Ring) { g.Generation = 0 },
		"suite":                        func(g *Ring) { g.Suite = 2 },
		"store class 0":                func(g *Ring) { g.Store = 0 },
		"store class 4":                func(g *Ring) { g.Store = 4 },
		"tiny data packs":              func(g *Ring) { g.DataPack = 1 },
		"huge data packs":              func(g *Ring) { g.DataPack = maxPackTarget + 1 },
		"tiny meta packs":              func(g *Ring) { g.MetaPack = 1 },
		"huge meta packs":              func(g *Ring) { g.MetaPack = maxPackTarget + 1 },
		"readers' key":                 func(g *Ring) { g.ReaderPub = g.ReaderPub[1:] },
		"authority":                    func(g *Ring) { g.Authority = nil },
		"authority of another":         func(g *Ring) { g.Authority = NewSigner(countingKey(1)).Public() },
		"past epochs out of order":     func(g *Ring) { g.Past[0], g.Past[1] = g.Past[1], g.Past[0] },
		"past epoch that is not past":  func(g *Ring) { g.Past[1].Epoch = g.Epoch },
		"writer's key":                 func(g *Ring) { g.Writers[0].Public = []byte{1} },
		"control epoch":                func(g *Ring) { g.Control.Epoch = 1 },
		"no control secret":            func(g *Ring) { g.Control.Secret = Key{} },
		"no readers' seed":             func(g *Ring) { g.ReaderSeed = Key{} },
		"no authority's seed":          func(g *Ring) { g.AuthoritySeed = Key{} },
		"no readers":                   func(g *Ring) { g.Readers = nil },
		"readers out of order":         func(g *Ring) { g.Readers[1].Epoch = 1 },
		"no domain":                    func(g *Ring) { g.Domains = nil },
		"domain without id":            func(g *Ring) { g.Domains[0].ID = id.Domain{} },
		"domain twice":                 func(g *Ring) { g.Domains[1].ID = g.Domains[0].ID },
		"domain without epochs":        func(g *Ring) { g.Domains[1].Epochs = nil },
		"domain's epochs out of order": func(g *Ring) { g.Domains[1].Epochs[1].Epoch = 0 },
		"another key's number":         func(g *Ring) { g.KEK++ },
	} {
		g, kek := fullRing(t)
		change(g)
		if _, err := SealRing(seeded(1), g, kek); err == nil {
			t.Errorf("%s: was sealed", name)
		}
	}
	g, kek := fullRing(t)
	if _, err := SealRing(bytes.NewReader(nil), g, kek); err == nil {
		t.Error("sealed without random bytes")
	}
	for n := range 8 * 32 {
		if _, _, err := NewRing(bytes.NewReader(make([]byte, n)), testRepo, SuiteAES, 0); err == nil {
			t.Fatalf("made from %d random bytes", n)
		}
	}
}

// TestHostileKeyringRecordsAreRefused opens records that were sealed with the right keys but say what no writer says.
func TestHostileKeyringRecordsAreRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(c *wireRingControl, s *wireRingSecrets){
		"later control version":    func(c *wireRingControl, _ *wireRingSecrets) { c.Version = 2 },
		"later secret version":     func(_ *wireRingControl, s *wireRingSecrets) { s.Version = 2 },
		"control of another":       func(c *wireRingControl, _ *wireRingSecrets) { c.Repository = make([]byte, 16) },
		"control of 17 bytes":      func(c *wireRingControl, _ *wireRingSecrets) { c.Repository = append(c.Repository, 0) },
		"secrets of another":       func(_ *wireRingControl, s *wireRingSecrets) { s.Repository = make([]byte, 16) },
		"secrets of generation 8":  func(_ *wireRingControl, s *wireRingSecrets) { s.Generation = 8 },
		"control of generation 8":  func(c *wireRingControl, _ *wireRingSecrets) { c.Generation = 8 },
		"another control epoch":    func(c *wireRingControl, _ *wireRingSecrets) { c.Epoch = 3 },
		"another secret epoch":     func(_ *wireRingControl, s *wireRingSecrets) { s.Control.Epoch = 3 },
		"previous of 31 bytes":     func(c *wireRingControl, _ *wireRingSecrets) { c.Previous = make([]byte, 31) },
		"bootstrap of 31 bytes":    func(c *wireRingControl, _ *wireRingSecrets) { c.Bootstrap = make([]byte, 31) },
		"slot of 7 bytes":          func(c *wireRingControl, _ *wireRingSecrets) { c.Slots[0].ID = make([]byte, 7) },
		"slot hash of 33 bytes":    func(c *wireRingControl, _ *wireRingSecrets) { c.Slots[0].Hash = make([]byte, 33) },
		"writer's domain":          func(c *wireRingControl, _ *wireRingSecrets) { c.Writers[1].Domain = make([]byte, 15) },
		"writer's fate":            func(c *wireRingControl, _ *wireRingSecrets) { c.Writers[1].Fates[0] = make([]byte, 15) },
		"writer's key":             func(c *wireRingControl, _ *wireRingSecrets) { c.Writers[1].Public = make([]byte, 31) },
		"past secret":              func(c *wireRingControl, _ *wireRingSecrets) { c.Past[0].Secret = make([]byte, 31) },
		"control secret":           func(_ *wireRingControl, s *wireRingSecrets) { s.Control.Secret = make([]byte, 31) },
		"control secret destroyed": func(_ *wireRingControl, s *wireRingSecrets) { s.Control.Secret = nil },
		"readers' seed":            func(_ *wireRingControl, s *wireRingSecrets) { s.ReaderSeed = make([]byte, 31) },
		"authority's seed":         func(_ *wireRingControl, s *wireRingSecrets) { s.Authority = make([]byte, 31) },
		"domain id":                func(_ *wireRingControl, s *wireRingSecrets) { s.Domains[0].ID = make([]byte, 17) },
		"domain root":              func(_ *wireRingControl, s *wireRingSecrets) { s.Domains[0].Root = make([]byte, 31) },
		"no domain":                func(_ *wireRingControl, s *wireRingSecrets) { s.Domains = nil },
		"another authority":        func(c *wireRingControl, _ *wireRingSecrets) { c.Authority = NewSigner(countingKey(1)).Public() },
		"suite":                    func(c *wireRingControl, _ *wireRingSecrets) { c.Suite = 9 },
	} {
		g, kek := fullRing(t)
		c, s := g.wireControl(), g.wireSecrets()
		change(&c, &s)
		if err := openHostileRing(t, g, kek, c, s); !errors.Is(err, errs.Corrupt) && !errors.Is(err, errs.Unsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
	g, kek := fullRing(t)
	if err := openHostileRing(t, g, kek, g.wireControl(), g.wireSecrets()); err != nil {
		t.Errorf("the unchanged one: %v", err)
	}
	if err := openHostileRing(t, g, kek, []int{1}, g.wireSecrets()); !errors.Is(err, errs.Corrupt) {
		t.Errorf("no control map: %v", err)
	}
	if err := openHostileRing(t, g, kek, g.wireControl(), nil); !errors.Is(err, errs.Corrupt) {
		t.Errorf("no secret map: %v", err)
	}
}

func openHostileRing(t *testing.T, g *Ring, kek KEK, control, secrets any) error {
	t.Helper()
	outerRec, err := encodeRecord(control)
	if err != nil {
		t.Fatal(err)
	}
	innerRec, err := encodeRecord(secrets)
	if err != nil {
		t.Fatal(err)
	}
	h := &Header{Class: ClassRing, Suite: SuiteAES, Epoch: g.Epoch}
	outer, inner := ringKeys(testRepo, g.Epoch, g.Control.Secret, kek.Key)
	b, err := sealContainer(h, container{outer: outerRec, inner: innerRec}, outer, inner)
	if err != nil {
		t.Fatal(err)
	}
	b = sign(b, ClassRing, testRepo, ringPath(g.Generation), NewSigner(g.AuthoritySeed))
	_, err = OpenRing(b, testRepo, g.Generation, kek.Key)
	return err
}

func TestAKeyringFindsTheKeyOfEveryObject(t *testing.T) {
	t.Parallel()
	g, _ := fullRing(t)
	def := g.Domains[0].ID
	h, err := g.NewHeader(seeded(1), ClassData, id.Domain{})
	if err != nil || h.Domain != def || h.Epoch != 1 || h.Suite != SuiteAES {
		t.Fatalf("header %+v, %v", h, err)
	}
	k, err := g.ObjectKey(h)
	if err != nil || k != SealKey(g.Domains[0].Epochs[0].Secret, ClassData, def, 1) {
		t.Errorf("the default domain's key: %v", err)
	}
	if h, err = g.NewHeader(seeded(1), ClassIndex, id.Domain{9}); err != nil || h.Epoch != 3 {
		t.Fatalf("the second domain's newest epoch: %+v, %v", h, err)
	}
	if k2, err := g.ObjectKey(h); err != nil || k2 == k {
		t.Errorf("the second domain's key: %v", err)
	}
	capsule, ikm, err := NewCapsule(g.ReaderPub)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := g.ObjectKey(&Header{Class: ClassData, Suite: SuiteAES, Capsule: capsule}); err != nil || got != ikm {
		t.Errorf("a put-only writer's pack: %v", err)
	}
	for name, c := range map[string]struct {
		h    *Header
		kind error
	}{
		"unknown domain":  {&Header{Class: ClassData, Domain: id.Domain{77}}, errs.NotFound},
		"unknown epoch":   {&Header{Class: ClassData, Domain: def, Epoch: 2}, errs.NotFound},
		"destroyed epoch": {&Header{Class: ClassData, Domain: id.Domain{9}, Epoch: 1}, errs.NotFound},
		"control class":   {&Header{Class: ClassFate}, errs.Usage},
	} {
		if _, err := g.ObjectKey(c.h); !errors.Is(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := g.NewHeader(seeded(1), ClassData, id.Domain{77}); !errors.Is(err, errs.NotFound) {
		t.Errorf("header of an unknown domain: %v", err)
	}
	ck := g.ControlKeys()
	if len(ck.Control) != 3 || ck.Control[2] != g.Control.Secret || len(ck.Readers) != 2 || ck.Epoch != 2 || ck.Repository != testRepo {
		t.Errorf("control keys of epochs %d and %d", len(ck.Control), len(ck.Readers))
	}
}

func TestRecordsAreReadStrictly(t *testing.T) {
	t.Parallel()
	type rec struct {
		A uint64   `cbor:"1,keyasint,omitzero"`
		B []byte   `cbor:"2,keyasint,omitempty"`
		C []uint64 `cbor:"3,keyasint,omitempty"`
		D string   `cbor:"4,keyasint,omitzero"`
	}
	for _, c := range []struct {
		name string
		in   []byte
		ok   bool
	}{
		{"empty map", []byte{0xA0}, true},
		{"one key", []byte{0xA1, 1, 5}, true},
		{"unknown key", []byte{0xA2, 1, 5, 9, 1}, true},
		{"unknown key beside an array", []byte{0xA2, 3, 0x81, 1, 9, 1}, true},
		{"nothing", nil, false},
		{"null", []byte{0xF6}, false},
		{"array", []byte{0x80}, false},
		{"trailing byte", []byte{0xA0, 0}, false},
		{"key twice", []byte{0xA2, 1, 5, 1, 6}, false},
		{"keys out of order", []byte{0xA2, 2, 0x41, 0, 1, 5}, false},
		{"long form of a number", []byte{0xA1, 1, 0x18, 5}, false},
		{"zero written out", []byte{0xA1, 1, 0}, false},
		{"indefinite map", []byte{0xBF, 1, 5, 0xFF}, false},
		{"indefinite string", []byte{0xA1, 2, 0x5F, 0x41, 0, 0xFF}, false},
		{"tag", []byte{0xA1, 1, 0xC1, 5}, false},
		{"float", []byte{0xA1, 1, 0xF9, 0x45, 0}, false},
		{"wrong type", []byte{0xA1, 1, 0x41, 5}, false},
		{"wrong type beside an unknown key", []byte{0xA2, 1, 0x41, 5, 9, 1}, false},
		{"invalid text", []byte{0xA1, 4, 0x61, 0xFF}, false},
		{"array that ends early", []byte{0xA1, 3, 0x9A, 0, 1, 0, 0, 1}, false},
		{"array beyond the cap", []byte{0xA1, 3, 0x9A, 0xFF, 0xFF, 0xFF, 0xFF, 1}, false},
		{"deep nesting", append([]byte{0xA1, 9}, bytes.Repeat([]byte{0x81}, 40)...), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var r rec
			err := decodeRecord(c.in, &r)
			if (err == nil) != c.ok || err != nil && !errors.Is(err, errs.Corrupt) {
				t.Errorf("got %v", err)
			}
		})
	}
	if _, err := encodeRecord(func() {}); err == nil {
		t.Error("a function was encoded")
	}
}

func FuzzDecodeRing(f *testing.F) {
	g, _ := fullRing(f)
	c, _ := encodeRecord(g.wireControl())
	s, _ := encodeRecord(g.wireSecrets())
	f.Add(c, s)
	f.Fuzz(func(t *testing.T, control, secrets []byte) {
		var w wireRingControl
		var got RingControl
		if decodeRecord(control, &w) == nil && w.into(&got) == nil {
			if err := got.validate(); err != nil {
				t.Fatalf("an invalid control part was taken: %v", err)
			}
		}
		var r Ring
		if err := r.readSecrets(secrets, testRepo, 9); err != nil {
			if !errors.Is(err, errs.Corrupt) && !errors.Is(err, errs.Unsupported) {
				t.Fatalf("failure without a kind: %v", err)
			}
			return
		}
		if _, err := r.Domain(id.Domain{}); err != nil {
			t.Fatalf("secrets without a domain were taken: %v", err)
		}
	})
}
