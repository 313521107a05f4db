package crypt

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nacre-backup/nacre/internal/errs"
)

// testControlKeys are the keys of a full writer in epoch 1, the same in every run.
func testControlKeys(tb testing.TB) *ControlKeys {
	tb.Helper()
	pub, err := ReaderPublic(countingKey(30))
	if err != nil {
		tb.Fatal(err)
	}
	return &ControlKeys{
		Repository: testRepo, Suite: SuiteAES, Epoch: 1,
		Control: map[uint32]Key{0: countingKey(9), 1: countingKey(10)}, Readers: map[uint32]Key{0: countingKey(19), 1: countingKey(20)},
		ReaderSeed: countingKey(30), ReaderPub: pub,
	}
}

// putOnly takes from k what a put-only writer does not have.
func putOnly(k *ControlKeys) *ControlKeys {
	p := *k
	p.Readers, p.ReaderSeed = nil, Key{}
	return &p
}

const testPath = "fates/00000000/00112233445566778899aabbccddeeff"

var errSigner = errors.New("who is that")

func expectSigner(s *Signer) func([]byte) (ed25519.PublicKey, error) {
	return func(outer []byte) (ed25519.PublicKey, error) {
		if string(outer) != "outer" {
			return nil, errSigner
		}
		return s.Public(), nil
	}
}

func TestAControlObjectOpensForWhoeverMayReadIt(t *testing.T) {
	t.Parallel()
	full := testControlKeys(t)
	signer := NewSigner(countingKey(1))
	for _, c := range []struct {
		name           string
		sealer, opener *ControlKeys
		inner, want    []byte
		has            bool
	}{
		{"full writer to full reader", full, full, []byte("inner"), []byte("inner"), true},
		{"full writer to put-only reader", full, putOnly(full), []byte("inner"), nil, true},
		{"put-only writer to full reader", putOnly(full), full, []byte("inner"), []byte("inner"), true},
		{"put-only writer to itself", putOnly(full), putOnly(full), []byte("inner"), nil, true},
		{"without an inner part", full, full, nil, nil, false},
		{"without an inner part by a put-only writer", putOnly(full), full, nil, nil, false},
		{"with an empty inner part", full, full, []byte{}, []byte{}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := Control{Class: ClassFate, Path: testPath, Outer: []byte("outer"), Inner: c.inner}
			object, err := SealControl(seeded(1), c.sealer, in, signer)
			if err != nil {
				t.Fatal(err)
			}
			got, err := OpenControl(c.opener, ClassFate, testPath, object, expectSigner(signer))
			if err != nil {
				t.Fatal(err)
			}
			in.Inner = c.want
			want := &Opened{Control: in, HasInner: c.has, Signer: signer.Public()}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if bytes.Contains(object, []byte("outer")) || bytes.Contains(object, []byte("inner")) {
				t.Error("a record stands in the clear")
			}
		})
	}
}

func TestAControlObjectIsBoundToItsPlaceAndSigner(t *testing.T) {
	t.Parallel()
	k := testControlKeys(t)
	signer, other := NewSigner(countingKey(1)), NewSigner(countingKey(2))
	object, err := SealControl(seeded(1), k, Control{Class: ClassFate, Path: testPath, Outer: []byte("outer"), Inner: []byte("inner")}, signer)
	if err != nil {
		t.Fatal(err)
	}
	strange := *k
	strange.Repository[0]++
	// The same secrets, but a repository id that only the signature knows of: the outer key depends on it too.
	noEpoch := *k
	noEpoch.Control = map[uint32]Key{0: countingKey(9)}
	otherReaders := *k
	otherReaders.Readers = map[uint32]Key{1: countingKey(21)}
	for name, c := range map[string]struct {
		k     *ControlKeys
		class Class
		path  string
		who   func([]byte) (ed25519.PublicKey, error)
		kind  error
	}{
		"other path":              {k, ClassFate, testPath + ".killed", expectSigner(signer), errs.Corrupt},
		"other class":             {k, ClassSession, testPath, expectSigner(signer), errs.Corrupt},
		"other signer":            {k, ClassFate, testPath, expectSigner(other), errs.Corrupt},
		"other repository":        {&strange, ClassFate, testPath, expectSigner(signer), errs.Corrupt},
		"unknown epoch":           {&noEpoch, ClassFate, testPath, expectSigner(signer), errs.NotFound},
		"other readers' secret":   {&otherReaders, ClassFate, testPath, expectSigner(signer), errs.Corrupt},
		"nobody knows the signer": {k, ClassFate, testPath, func([]byte) (ed25519.PublicKey, error) { return nil, errSigner }, errSigner},
		"a key that is no key":    {k, ClassFate, testPath, func([]byte) (ed25519.PublicKey, error) { return []byte{1}, nil }, errs.Corrupt},
	} {
		if o, err := OpenControl(c.k, c.class, c.path, object, c.who); !errors.Is(err, c.kind) || o != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheSignatureCoversTheRepository(t *testing.T) {
	t.Parallel()
	a, b := testRepo, testRepo
	b[15]++
	x := signInput(ClassFate, a, "p", []byte("m"))
	for name, y := range map[string][]byte{
		"repository": signInput(ClassFate, b, "p", []byte("m")), "class": signInput(ClassSession, a, "p", []byte("m")),
		"path": signInput(ClassFate, a, "q", []byte("m")), "content": signInput(ClassFate, a, "p", []byte("n")),
	} {
		if bytes.Equal(x, y) {
			t.Errorf("the %s is not signed", name)
		}
	}
}

func TestADamagedControlObjectNeverOpens(t *testing.T) {
	t.Parallel()
	k := testControlKeys(t)
	signer := NewSigner(countingKey(1))
	for _, writer := range []*ControlKeys{k, putOnly(k)} {
		object, err := SealControl(seeded(1), writer, Control{Class: ClassFate, Path: testPath, Outer: []byte("outer"), Inner: []byte("inner")}, signer)
		if err != nil {
			t.Fatal(err)
		}
		open := func(b []byte) error {
			_, err := OpenControl(k, ClassFate, testPath, b, expectSigner(signer))
			return err
		}
		known := func(err error) bool {
			return errors.Is(err, errs.Corrupt) || errors.Is(err, errs.Unsupported) || errors.Is(err, errs.NotFound)
		}
		for i := range object {
			b := bytes.Clone(object)
			b[i] ^= 1 << (i % 8)
			if err := open(b); !known(err) {
				t.Fatalf("byte %d of %d flipped: %v", i, len(object), err)
			}
			if err := open(object[:i]); !known(err) {
				t.Fatalf("cut to %d of %d bytes: %v", i, len(object), err)
			}
		}
		if err := open(append(bytes.Clone(object), 0)); !errors.Is(err, errs.Corrupt) {
			t.Errorf("one byte more: %v", err)
		}
	}
	if _, err := OpenControl(k, ClassFate, testPath, make([]byte, maxControl+1), nil); !errors.Is(err, errs.Corrupt) {
		t.Errorf("too large: %v", err)
	}
}

func TestShapesThatNoWriterMakesAreRefused(t *testing.T) {
	t.Parallel()
	k := testControlKeys(t)
	signer := NewSigner(countingKey(1))
	h := &Header{Class: ClassFate, Suite: SuiteAES, Epoch: 1}
	outer, err := k.outerKey(h)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSealer(h, outer)
	if err != nil {
		t.Fatal(err)
	}
	part := func(b, sealed []byte) []byte {
		return append(append(b, byte(len(sealed)), 0, 0, 0), sealed...)
	}
	head := h.Append(nil)
	compressed := append(part(part(bytes.Clone(head), s.Seal(nil, 0, 1, 5, nil, []byte("outer"))), nil), signEd25519)
	empty := append(part(part(bytes.Clone(head), nil), nil), signEd25519)
	otherSuite := append(part(part(bytes.Clone(head), s.Seal(nil, 0, 0, 5, nil, []byte("outer"))), nil), 2)
	for name, c := range map[string]struct {
		b    []byte
		kind error
		text string
	}{
		"compressed":              {compressed, errs.Unsupported, "codec 1"},
		"without an outer part":   {empty, errs.Corrupt, "without an outer part"},
		"another signature suite": {otherSuite, errs.Unsupported, "signature suite 2"},
	} {
		b := sign(c.b, ClassFate, testRepo, testPath, signer)
		if _, err := OpenControl(k, ClassFate, testPath, b, expectSigner(signer)); !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatCannotBeSealedIsSaid(t *testing.T) {
	t.Parallel()
	k := testControlKeys(t)
	signer := NewSigner(countingKey(1))
	noEpoch := *k
	noEpoch.Epoch = 5
	noPub := *putOnly(k)
	noPub.ReaderPub = nil
	big := make([]byte, maxRawControl+1)
	for name, c := range map[string]struct {
		k    *ControlKeys
		c    Control
		kind error
	}{
		"a ring":                    {k, Control{Class: ClassRing, Path: "ring/1", Outer: []byte("x")}, errs.Usage},
		"a pack":                    {k, Control{Class: ClassData, Path: "data/1", Outer: []byte("x")}, errs.Usage},
		"an epoch without a secret": {&noEpoch, Control{Class: ClassFate, Path: "f", Outer: []byte("x")}, errs.NotFound},
		"a large record":            {k, Control{Class: ClassFate, Path: "f", Outer: big}, errs.Usage},
		"a large inner record":      {k, Control{Class: ClassFate, Path: "f", Outer: []byte("x"), Inner: big}, errs.Usage},
		"no readers":                {&noPub, Control{Class: ClassFate, Path: "f", Outer: []byte("x"), Inner: []byte("y")}, errs.Corrupt},
	} {
		if _, err := SealControl(seeded(1), c.k, c.c, signer); !errors.Is(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := SealControl(bytes.NewReader(nil), k, Control{Class: ClassFate, Path: "f"}, signer); err == nil {
		t.Error("sealed without random bytes")
	}
}

func TestVerificationAfterSealingFindsWhatDiffers(t *testing.T) {
	t.Parallel()
	k := testControlKeys(t)
	signer := NewSigner(countingKey(1))
	h := &Header{Class: ClassFate, Suite: SuiteAES, Epoch: 1}
	outer, err := k.outerKey(h)
	if err != nil {
		t.Fatal(err)
	}
	c := Control{Class: ClassFate, Path: testPath, Outer: []byte("outer")}
	b, err := sealContainer(h, container{outer: []byte("0uter")}, outer, Key{})
	if err != nil {
		t.Fatal(err)
	}
	b = sign(b, ClassFate, testRepo, testPath, signer)
	if err := verifySealed(b, testRepo, c, signer.Public(), outer, Key{}); !errors.Is(err, errs.Corrupt) || errs.Hint(err) == "" {
		t.Errorf("sealed bytes that differ pass: %v", err)
	}
	c.Outer = []byte("0uter")
	if err := verifySealed(b, testRepo, c, signer.Public(), outer, Key{}); err != nil {
		t.Errorf("sealed bytes that agree do not pass: %v", err)
	}
	b[len(b)-1] ^= 1
	if err := verifySealed(b, testRepo, c, signer.Public(), outer, Key{}); !errors.Is(err, errs.Corrupt) {
		t.Errorf("a bad signature passes: %v", err)
	}
}

func FuzzOpenControl(f *testing.F) {
	k := testControlKeys(f)
	signer := NewSigner(countingKey(1))
	object, err := SealControl(seeded(1), k, Control{Class: ClassFate, Path: testPath, Outer: []byte("outer"), Inner: []byte("inner")}, signer)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(object)
	f.Add(object[:HeaderSize+10])
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := OpenControl(k, ClassFate, testPath, b, expectSigner(signer))
		if err == nil && !bytes.Equal(b, object) {
			t.Fatalf("forged: %q", o.Outer)
		}
	})
}
