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

func TestAHeaderReadsBackAsItWasWritten(t *testing.T) {
	t.Parallel()
	for _, c := range []Class{ClassData, ClassMeta, ClassIndex, ClassFate, ClassSession, ClassHeartbeat, ClassTombstone, ClassCondemned, ClassLedger, ClassEra, ClassRing} {
		var d id.Domain
		if !c.Control() {
			d = id.Domain{7}
		}
		h, err := NewHeader(seeded(byte(c)), c, SuiteChaCha, d, 0x01020304)
		if err != nil {
			t.Fatal(err)
		}
		for _, capsule := range [][]byte{nil, pattern(CapsuleSize)} {
			h.Capsule = capsule
			b := h.Append([]byte("before"))[6:]
			if len(b) != h.Size() {
				t.Fatalf("%d bytes, size says %d", len(b), h.Size())
			}
			got, err := ParseHeader(append(b, "after"...))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(h, got); diff != "" {
				t.Error(diff)
			}
			if !got.Class.Valid() || got.Class.String() != string(rune(c)) {
				t.Errorf("class %s", got.Class)
			}
			for n := range len(b) {
				if _, err := ParseHeader(b[:n]); !errors.Is(err, errs.Corrupt) {
					t.Fatalf("%d of %d bytes: %v", n, len(b), err)
				}
			}
		}
	}
}

func TestHeadersThatNoWriterMakesAreRefused(t *testing.T) {
	t.Parallel()
	good := (&Header{Class: ClassData, Suite: SuiteAES, Domain: id.Domain{1}}).Append(nil)
	for _, c := range []struct {
		name string
		at   int
		to   byte
		kind error
		text string
	}{
		{"wrong magic", 0, 'X', errs.Corrupt, "magic"},
		{"wrong end of magic", 7, '2', errs.Corrupt, "magic"},
		{"later major", 8, 2, errs.Unsupported, "version 2"},
		{"unknown class", 9, 'X', errs.Corrupt, "class"},
		{"control class with a domain", 9, 'F', errs.Corrupt, "names a domain"},
		{"suite 2", 10, 2, errs.Unsupported, "suite 2"},
		{"suite 0", 10, 0, errs.Unsupported, "suite 0"},
		{"flag without capsule", 11, 1, errs.Corrupt, "flags"},
		{"unknown flag", 11, 2, errs.Corrupt, "flags"},
		{"capsule length without flag", 12, 1, errs.Corrupt, "capsule"},
		{"reserved byte", 36, 1, errs.Corrupt, "reserved"},
		{"last reserved byte", 39, 1, errs.Corrupt, "reserved"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := bytes.Clone(good)
			b[c.at] = c.to
			h, err := ParseHeader(b)
			if !errors.Is(err, c.kind) || h != nil || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v", err)
			}
		})
	}
	if _, err := NewHeader(seeded(1), 'X', SuiteAES, id.Domain{}, 0); !errors.Is(err, errs.Corrupt) {
		t.Errorf("a header of class X was made: %v", err)
	}
	if _, err := NewSealer(&Header{Class: ClassData, Suite: SuiteAES, Capsule: []byte{1}}, Key{}); !errors.Is(err, errs.Corrupt) {
		t.Errorf("a capsule of one byte was taken: %v", err)
	}
}

func FuzzParseHeader(f *testing.F) {
	f.Add((&Header{Class: ClassData, Suite: SuiteAES, Domain: id.Domain{1}}).Append(nil))
	f.Add((&Header{Class: ClassFate, Suite: SuiteChaCha, Epoch: 9, Capsule: pattern(CapsuleSize)}).Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseHeader(b)
		if err != nil {
			if !errors.Is(err, errs.Corrupt) && !errors.Is(err, errs.Unsupported) {
				t.Fatalf("failure without a kind: %v", err)
			}
			return
		}
		if !bytes.Equal(h.Append(nil), b[:h.Size()]) {
			t.Fatal("the header encodes to other bytes than it was read from")
		}
	})
}
