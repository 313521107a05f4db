package crypt

import (
	"encoding/hex"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nacre-backup/nacre/internal/clock"
	"github.com/nacre-backup/nacre/internal/id"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var (
	testRepo = id.Repository{0x11, 0x22, 0x33, 15: 0xFF}
	testTime = time.Date(2026, 11, 28, 14, 0, 0, 0, time.UTC)
	cheap    = Argon2{Time: 1, Memory: 64, Threads: 1}
)

// seeded is a source of random bytes that is the same in every run.
func seeded(seed byte) clock.Rand { return rand.NewChaCha8([32]byte{seed}) }

// golden compares text with a file of testdata, or writes it there with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Fatalf("%s: the bytes of the format have changed\n got: %s\nwant: %s", path, got, want)
	}
}

// pattern is n bytes that are easy to make in any language: byte i is i mod 251.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i % 251)
	}
	return b
}

// countingKey is the key of the bytes first, first+1, ...
func countingKey(first byte) (k Key) {
	for i := range k {
		k[i] = first + byte(i)
	}
	return k
}

func TestGoldenKeysAndIDs(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	scope := [16]byte(pattern(16))
	root := countingKey(0x40)
	fmt.Fprintf(&b, "# secret = bytes 40..5f, scope = bytes 00..0f; content of n bytes: byte i is i mod 251\n")
	for _, p := range []string{"id-data", "id-tree", "id-extent", "chunk", "tree-split", "link", "cache", "seal-D", "seal-R", "slot"} {
		for _, e := range []uint32{0, 7} {
			k := Sub(root, p, scope, e)
			fmt.Fprintf(&b, "sub %s %d %s\n", p, e, hex.EncodeToString(k[:]))
		}
	}
	d := NewDomain(scope, root)
	for _, n := range []int{0, 1, 1024, 1025, 128 << 10, 128<<10 + 1, 300_000, 1 << 20} {
		for _, k := range []Kind{KindData, KindTree, KindExtent} {
			fmt.Fprintf(&b, "id %d %d %s\n", n, k, d.ID(k, pattern(n)))
		}
	}
	fmt.Fprintf(&b, "link ext4-uuid 42 %s\n", d.Link("ext4-uuid", 42))
	fmt.Fprintf(&b, "writer %s\n", NewSigner(root).Writer())
	golden(t, "keys.golden", b.String())
}

func TestGoldenSeals(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	fmt.Fprintf(&b, "# ikm = bytes 40..5f; ids are of 20 bytes 01 and of 20 bytes 02; payload is 40 bytes, byte i is i mod 251\n")
	ids := []id.Short{{}, {}}
	for i := range ids {
		for j := range ids[i] {
			ids[i][j] = byte(i + 1)
		}
	}
	for _, suite := range []Suite{SuiteAES, SuiteChaCha} {
		for _, class := range []Class{ClassData, ClassIndex, ClassFate} {
			var dom id.Domain
			if !class.Control() {
				dom = id.Domain(pattern(16))
			}
			h := &Header{Class: class, Suite: suite, Domain: dom, Epoch: 3, Salt: countingKey(0x80)}
			s, err := NewSealer(h, countingKey(0x40))
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "header %s\n", hex.EncodeToString(h.Append(nil)))
			for _, c := range []struct {
				segno  uint32
				codec  uint8
				rawLen int
			}{{0, 0, 40}, {1, 1, 1000}, {DirSegno, 0, 40}} {
				sealed := s.Seal(nil, c.segno, c.codec, c.rawLen, ids, pattern(40))
				fmt.Fprintf(&b, "segno %d codec %d raw %d sealed %s\n", c.segno, c.codec, c.rawLen, hex.EncodeToString(sealed))
			}
		}
	}
	golden(t, "seals.golden", b.String())
}

func TestGoldenControlObjects(t *testing.T) {
	t.Parallel()
	k := testControlKeys(t)
	signer := NewSigner(countingKey(1))
	object, err := SealControl(seeded(9), k, Control{
		Class: ClassFate, Path: "fates/00000000/00112233", Outer: []byte("outer record"), Inner: []byte("inner record"),
	}, signer)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# repository %s, path fates/00000000/00112233, outer and inner are the ASCII text \"outer record\", \"inner record\"\n", testRepo)
	c, r := k.Control[1], k.Readers[1]
	fmt.Fprintf(&b, "control secret %x\nreaders secret %x\n", c[:], r[:])
	fmt.Fprintf(&b, "public key %x\nobject %x\n", []byte(signer.Public()), object)
	golden(t, "control.golden", b.String())
}

func TestGoldenRing(t *testing.T) {
	t.Parallel()
	g, kek := fullRing(t)
	object, err := SealRing(seeded(5), g, kek)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "ring.golden", fmt.Sprintf("# repository %s, generation %d\nkek %x\nobject %x\n", testRepo, g.Generation, kek.Key[:], object))
}

// TestGoldenSlots opens slots that were made once. Their seals are random, so that they cannot be made again.
func TestGoldenSlots(t *testing.T) {
	t.Parallel()
	kek := KEK{Key: countingKey(0xA0), Number: 7}
	spec := SlotSpec{Repository: testRepo, Label: "golden", Created: testTime}
	for name, make := range map[string]func() (*Slot, error){
		"password": func() (*Slot, error) { return NewPasswordSlot(seeded(1), spec, []byte("correct horse"), cheap, kek) },
		"keyfile":  func() (*Slot, error) { return NewKeyfileSlot(seeded(2), spec, countingKey(0x40), kek) },
		"open":     func() (*Slot, error) { return NewOpenSlot(seeded(3), spec, kek) },
	} {
		path := filepath.Join("testdata", "slot-"+name+".json")
		if _, err := os.Stat(path); *update && err != nil { // one that is there stays: it must open for ever
			s, err := make()
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, s.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var sid SlotID
		copy(sid[:], slotIDOf(t, file))
		s, err := ParseSlot(testRepo, sid, file)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := s.Open(Unlock{Password: []byte("correct horse"), Key: countingKey(0x40)})
		if err != nil || got != kek {
			t.Errorf("%s does not open as it did: %v", path, err)
		}
		if s.Label != "golden" || !s.Created.Equal(testTime) || s.Kind != name {
			t.Errorf("%s says %q, %v, %q", path, s.Label, s.Created, s.Kind)
		}
	}
}

func slotIDOf(t *testing.T, file []byte) []byte {
	t.Helper()
	_, rest, _ := strings.Cut(string(file), `"slot": "`)
	b, err := hex.DecodeString(rest[:16])
	if err != nil {
		t.Fatal(err)
	}
	return b
}
