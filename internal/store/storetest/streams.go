package storetest

import (
	"fmt"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/store"
)

func streamer(t *testing.T, s store.Store) store.Streamer {
	var st store.Streamer
	if !store.As(s, &st) {
		t.Log("the store takes no streams: nothing to check")
		return nil
	}
	return st
}

// fill writes data into a new stream in pieces of uneven sizes.
func fill(t *testing.T, st store.Streamer, data []byte) store.Stream {
	t.Helper()
	w, err := st.Stream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for step := 1; len(data) > 0; step = step*7 + 3 {
		n := min(step, len(data), 1<<20)
		if m, err := w.Write(data[:n]); err != nil || m != n {
			t.Fatalf("write of %d bytes = %d, %v", n, m, err)
		}
		data = data[n:]
	}
	return w
}

func testStream(t *testing.T, s store.Store) {
	st := streamer(t, s)
	if st == nil {
		return
	}
	var all []string
	for i, n := range append(sizes, 9<<20+4096) {
		data := random(uint64(i), n)
		w := fill(t, st, data)
		mustList(t, s, "data/", all...)
		name := fmt.Sprintf("data/%02d/pack", i)
		if err := w.Commit(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		all = append(all, name)
		mustHave(t, s, name, data)
		if err := w.Abort(); err != nil {
			t.Fatalf("abort after commit: %v", err)
		}
		mustHave(t, s, name, data)
	}
	mustList(t, s, "", all...)
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func testStreamAbort(t *testing.T, s store.Store) {
	st := streamer(t, s)
	if st == nil {
		return
	}
	for i, n := range sizes {
		w := fill(t, st, random(uint64(i), n))
		for range 2 {
			if err := w.Abort(); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Commit(t.Context(), "data/a"); err == nil {
			t.Fatal("a commit after the abort succeeded")
		}
		if _, err := w.Write([]byte("x")); err == nil {
			t.Fatal("a write after the abort succeeded")
		}
	}
	mustList(t, s, "")
}

func testStreamRules(t *testing.T, s store.Store) {
	st := streamer(t, s)
	if st == nil {
		return
	}
	data := random(1, 3<<20+5)
	mustPut(t, s, "data/a", data)
	if err := fill(t, st, data).Commit(t.Context(), "data/a"); err != nil {
		t.Fatalf("commit of the same bytes: %v", err)
	}
	other := random(2, 3<<20+5)
	mustBe(t, "commit of other bytes", fill(t, st, other).Commit(t.Context(), "data/a"), errs.Exists)
	mustBe(t, "commit under a bad name", fill(t, st, other).Commit(t.Context(), "../a"), errs.Usage)
	w := fill(t, st, other)
	if err := w.Commit(t.Context(), "data/b"); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(t.Context(), "data/c"); err == nil {
		t.Fatal("a second commit succeeded")
	}
	mustHave(t, s, "data/a", data)
	mustHave(t, s, "data/b", other)
	mustList(t, s, "", "data/a", "data/b")
}

func testStreamsAtOnce(t *testing.T, s store.Store) {
	st := streamer(t, s)
	if st == nil {
		return
	}
	g, ctx := errgroup.WithContext(t.Context())
	for i := range 4 {
		g.Go(func() error {
			for j := range 3 {
				w, err := st.Stream(ctx)
				if err != nil {
					return err
				}
				if _, err := w.Write(random(uint64(i*3+j), 1<<20+i)); err != nil {
					return err
				}
				if err := w.Commit(ctx, fmt.Sprintf("data/%d/%d", i, j)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		for j := range 3 {
			mustHave(t, s, fmt.Sprintf("data/%d/%d", i, j), random(uint64(i*3+j), 1<<20+i))
		}
	}
}
