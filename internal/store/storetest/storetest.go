// Package storetest is about what every store must do: one suite for every member of the family and for every
// wrapper. Run checks the contract of package store call by call, Bench measures the calls that carry the load.
//
// The suite asks nothing of the clock and nothing of the order in which a store lists. What a store cannot offer it
// says through store.As, and the suite skips those parts by that answer alone.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/nacre-backup/nacre/internal/store"
)

// Open makes a fresh, empty store for one test and closes it in the test's cleanup.
type Open func(t *testing.T) store.Store

// Run checks that the stores made by open keep the contract.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, s store.Store)
	}{
		{"an object comes back byte for byte", testRoundTrip},
		{"a range comes back byte for byte", testRanges},
		{"a range beyond the end is an unexpected end", testShortRange},
		{"the same bytes may be put again", testPutAgain},
		{"other bytes under a taken name are refused", testPutOther},
		{"a content that fails leaves nothing", testBrokenContent},
		{"what is not there is not found", testNotFound},
		{"names that are not valid are refused", testNames},
		{"names reach to the limits of the contract", testOddNames},
		{"a listing has each object once", testList},
		{"a listing ends with the callback's error", testListCallback},
		{"a callback may use the store", testReentrant},
		{"a callback's error is returned as it is", testGetCallback},
		{"delete removes and may be repeated", testDelete},
		{"a cancelled context ends every call", testCancelled},
		{"calls run at once", testConcurrent},
		{"racing puts of the same bytes all succeed", testRacingPuts},
		{"flush may be called at any time", testFlush},
		{"create-if-absent has one winner", testIfAbsentRace},
		{"create-if-absent refuses a taken name", testIfAbsentTaken},
		{"a stream becomes an object at its commit", testStream},
		{"an aborted stream leaves nothing", testStreamAbort},
		{"a stream obeys the rules of put", testStreamRules},
		{"streams run at once", testStreamsAtOnce},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

// sizes are those at which a store may take another way: empty, small, about a page, about a block of direct I/O, and
// larger than any one buffer.
var sizes = []int{0, 1, 511, 512, 4095, 4096, 4097, 65536, 1<<20 - 1, 1 << 20, 1<<20 + 1, 5<<20 + 777}

// random returns n bytes that are the same for the same seed.
func random(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 42))
	for i := 0; i < n; i += 8 {
		v := r.Uint64()
		for j := i; j < min(i+8, n); j++ {
			b[j] = byte(v)
			v >>= 8
		}
	}
	return b
}

func mustPut(t *testing.T, s store.Store, name string, data []byte) {
	t.Helper()
	if err := s.Put(t.Context(), name, store.Bytes(data)); err != nil {
		t.Fatalf("put %s: %v", name, err)
	}
}

func get(ctx context.Context, s store.Store, name string, r store.Range) ([]byte, error) {
	var got []byte
	err := s.Get(ctx, name, r, func(in io.Reader) error {
		var err error
		got, err = io.ReadAll(in)
		return err
	})
	return got, err
}

// mustHave fails unless the whole object is exactly data and Stat agrees.
func mustHave(t *testing.T, s store.Store, name string, data []byte) {
	t.Helper()
	got, err := get(t.Context(), s, name, store.Range{})
	if err != nil {
		t.Fatalf("get %s: %v", name, err)
	}
	if !bytes.Equal(got, data) {
		t.Fatalf("get %s: %d bytes differ from the %d that were put", name, len(got), len(data))
	}
	info, err := s.Stat(t.Context(), name)
	if err != nil || info.Size != int64(len(data)) || info.Name != name {
		t.Fatalf("stat %s = %+v, %v; want size %d", name, info, err, len(data))
	}
}

// mustBe fails unless err has the kind.
func mustBe(t *testing.T, what string, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("%s: got %v, want an error of kind %q", what, err, kind)
	}
}

func names(t *testing.T, s store.Store, prefix string) []string {
	t.Helper()
	got := []string{}
	if err := s.List(t.Context(), prefix, func(i store.Info) error {
		got = append(got, i.Name)
		return nil
	}); err != nil {
		t.Fatalf("list %q: %v", prefix, err)
	}
	slices.Sort(got)
	return got
}

// mustList fails unless exactly these names, in order, stand under the prefix.
func mustList(t *testing.T, s store.Store, prefix string, want ...string) {
	t.Helper()
	if got := names(t, s, prefix); !slices.Equal(got, want) {
		t.Fatalf("list %q = %q, want %q", prefix, got, want)
	}
}
