package crypt

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/zeebo/blake3"
	luke "lukechampine.com/blake3"
	"pgregory.net/rapid"

	"github.com/nacre-backup/nacre/internal/id"
)

func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	k := countingKey(0x41) // ABCDEF...
	u := Unlock{Password: []byte("ABCDEF"), Key: k}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "key", k)
	texts := map[string]string{
		"%v": fmt.Sprintf("%v", k), "%+v": fmt.Sprintf("%+v", k), "%#v": fmt.Sprintf("%#v", k), "%x": fmt.Sprintf("%x", k),
		"%s": fmt.Sprintf("%s", k), "%d": fmt.Sprintf("%d", k), "%q": fmt.Sprintf("%q", k),
		"pointer": fmt.Sprintf("%v", &k), "in a struct": fmt.Sprintf("%+v", struct{ K Key }{k}), "log": log.String(),
		"kek": fmt.Sprintf("%+v", KEK{Key: k}), "unlock": fmt.Sprintf("%+v", u), "signer": fmt.Sprintf("%+v", NewSigner(k)),
	}
	for form, text := range texts {
		if !strings.Contains(text, "[secret]") || strings.Contains(text, "ABC") || strings.Contains(text, "4142") || strings.Contains(text, "65") {
			t.Errorf("%s prints %q", form, text)
		}
	}
	if b, err := json.Marshal(k); err == nil {
		t.Errorf("JSON holds %s", b)
	}
}

func TestAKeyIsDrawnWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	k, err := NewKey(seeded(1))
	if err != nil || k.IsZero() {
		t.Fatalf("no key: %v", err)
	}
	if k, err := NewKey(bytes.NewReader(make([]byte, 31))); !errors.Is(err, io.ErrUnexpectedEOF) || !k.IsZero() {
		t.Errorf("31 random bytes made a key: %v", err)
	}
	if _, err := NewHeader(bytes.NewReader(nil), ClassData, SuiteAES, id.Domain{1}, 0); err == nil {
		t.Error("a header was made without random bytes")
	}
}

func TestKeyedBLAKE3IsTheOneOfThePaper(t *testing.T) {
	t.Parallel()
	// From the test vectors of the BLAKE3 team: input is bytes 0, 1, ... mod 251.
	k := newKeyed(Key([]byte("whats the Elvish word for friend")))
	for n, want := range map[int]string{
		0: "92b2b75604ed3c761f9d6f62392c8a9227ad0ea3f09573e783f1498a4ed60d26",
		1: "6d7878dfff2f485635d39013278ae14f1454b8c0a3a2d34bc1ab38228a80c95b",
	} {
		if got := k.sum(nil, pattern(n)); hex.EncodeToString(got[:]) != want {
			t.Errorf("hash of %d bytes is %x, want %s", n, got, want)
		}
	}
}

func TestBothHashersAgreeAtEveryLength(t *testing.T) {
	t.Parallel()
	key := countingKey(3)
	k := newKeyed(key)
	data := make([]byte, 3<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data)
	check := func(n int) {
		ref, _ := blake3.NewKeyed(key[:])
		_, _ = ref.Write(data[:n])
		other := luke.New(32, key[:])
		_, _ = other.Write(data[:n])
		got := k.sum(nil, data[:n])
		if !bytes.Equal(ref.Sum(nil), got[:]) || !bytes.Equal(other.Sum(nil), got[:]) {
			t.Fatalf("hash of %d bytes differs", n)
		}
		if n > wideBuf {
			if wide := wideSum(&k.words, data[:n]); wide != got {
				t.Fatalf("wide hash of %d bytes differs", n)
			}
		}
	}
	for _, base := range []int{0, 64, 1024, wideBuf, 2 * wideBuf, 3 * wideBuf, 5 * wideBuf, largeContent, 1 << 20, 3<<20 - 2} {
		for d := -2; d <= 2; d++ {
			if base+d >= 0 {
				check(base + d)
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) { check(rapid.IntRange(0, len(data)).Draw(t, "n")) })
}

func TestIDsDependOnKindDomainAndContentAndMayBeMadeAtOnce(t *testing.T) {
	t.Parallel()
	d := NewDomain(id.Domain{1}, countingKey(1))
	other := NewDomain(id.Domain{2}, countingKey(1))
	small, large := pattern(1000), pattern(200_000)
	seen := map[id.ID]string{}
	for name, v := range map[string]id.ID{
		"data": d.ID(KindData, small), "tree": d.ID(KindTree, small), "extent": d.ID(KindExtent, small),
		"other domain": other.ID(KindData, small), "large": d.ID(KindData, large), "empty": d.ID(KindData, nil),
	} {
		if seen[v] != "" {
			t.Errorf("%s and %s have one id", name, seen[v])
		}
		seen[v] = name
	}
	var wg sync.WaitGroup
	want := [2]id.ID{d.ID(KindData, small), d.ID(KindData, large)}
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if got := [2]id.ID{d.ID(KindData, small), d.ID(KindData, large)}; got != want {
					t.Errorf("an id changes when several are made at once")
					return
				}
			}
		})
	}
	wg.Wait()
	if d.Scope() != (id.Domain{1}) || d.ChunkKey() == d.SplitKey() || d.CacheKey() == d.ChunkKey() || d.ChunkKey().IsZero() {
		t.Error("the domain's keys are not keys of their own")
	}
	again := d.Link("a", 1)
	if d.Link("a", 1) != again || again == d.Link("a", 2) || again == d.Link("b", 1) {
		t.Error("hard-link groups do not follow file system and inode")
	}
}

func TestKindsBelongToClasses(t *testing.T) {
	t.Parallel()
	if KindData.Class() != ClassData || KindTree.Class() != ClassMeta || KindExtent.Class() != ClassMeta {
		t.Error("a kind is in the wrong class")
	}
	for k, want := range map[Kind]bool{0: false, 1: true, 2: true, 3: true, 4: false} {
		if k.Valid() != want {
			t.Errorf("kind %d valid: %v", k, !want)
		}
	}
}

func TestNamesAreBLAKE3(t *testing.T) {
	t.Parallel()
	if got := Sum(nil); hex.EncodeToString(got[:]) != "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262" {
		t.Errorf("hash of nothing is %x", got)
	}
	h := NewHash()
	_, _ = h.Write(pattern(5000))
	if want := Sum(pattern(5000)); !bytes.Equal(h.Sum(nil), want[:]) {
		t.Error("the streaming hash differs")
	}
}
