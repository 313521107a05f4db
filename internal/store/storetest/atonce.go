package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/store"
)

func testList(t *testing.T, s store.Store) {
	mustList(t, s, "")
	mustList(t, s, "data/")
	mustList(t, s, "data/0/")
	var want, want3 []string
	for i := range 5 {
		for j := range 60 {
			name := fmt.Sprintf("data/%d/%03d", i, j)
			mustPut(t, s, name, random(1, j))
			want = append(want, name)
			if i == 3 {
				want3 = append(want3, name)
			}
		}
	}
	mustPut(t, s, "data0", nil)
	mustPut(t, s, "data.x/y", nil)
	mustList(t, s, "data/", want...)
	mustList(t, s, "data/3/", want3...)
	mustList(t, s, "data/9/")
	mustList(t, s, "data0/")
	mustList(t, s, "", append([]string{"data.x/y"}, append(want, "data0")...)...)
	if err := s.List(t.Context(), "data/3/", func(i store.Info) error {
		var n int64
		if _, err := fmt.Sscanf(i.Name, "data/3/%03d", &n); err != nil || n != i.Size {
			return fmt.Errorf("%+v has the wrong size", i)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func testListCallback(t *testing.T, s store.Store) {
	for i := range 10 {
		mustPut(t, s, fmt.Sprintf("data/%d", i), nil)
	}
	calls := 0
	err := s.List(t.Context(), "data/", func(store.Info) error {
		calls++
		if calls == 3 {
			return errOwn
		}
		return nil
	})
	if err != errOwn || calls != 3 { //nolint:errorlint // as it is, not wrapped
		t.Fatalf("list returned %v after %d calls of the callback, want its own error after 3", err, calls)
	}
}

func testReentrant(t *testing.T, s store.Store) {
	for i := range 10 {
		mustPut(t, s, fmt.Sprintf("data/%d", i), []byte{byte(i)})
	}
	if err := s.List(t.Context(), "data/", func(i store.Info) error {
		b, err := get(t.Context(), s, i.Name, store.Range{})
		if err != nil {
			return err
		}
		if err := s.Put(t.Context(), "copy/"+i.Name, store.Bytes(b)); err != nil {
			return err
		}
		return s.Delete(t.Context(), i.Name)
	}); err != nil {
		t.Fatal(err)
	}
	mustList(t, s, "data/")
	if got := names(t, s, "copy/"); len(got) != 10 {
		t.Fatalf("%d copies, want 10", len(got))
	}
}

func testConcurrent(t *testing.T, s store.Store) {
	const workers, each = 8, 12
	g, ctx := errgroup.WithContext(t.Context())
	for w := range workers {
		g.Go(func() error {
			for i := range each {
				name := fmt.Sprintf("data/%d/%d", w%3, w*each+i)
				data := random(uint64(w*each+i), 1<<(i+7))
				if err := s.Put(ctx, name, store.Bytes(data)); err != nil {
					return err
				}
				got, err := get(ctx, s, name, store.Range{})
				if err != nil {
					return err
				}
				if !bytes.Equal(got, data) {
					return fmt.Errorf("get %s: wrong bytes", name)
				}
				if i%4 == 0 {
					if err := s.List(ctx, "data/", func(store.Info) error { return nil }); err != nil {
						return err
					}
					if err := s.Flush(ctx); err != nil {
						return err
					}
				}
				if i%3 == 0 {
					if err := s.Delete(ctx, name); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := names(t, s, ""); len(got) != workers*each*2/3 {
		t.Fatalf("%d objects are left, want %d", len(got), workers*each*2/3)
	}
}

func testRacingPuts(t *testing.T, s store.Store) {
	for round := range 5 {
		name, data := fmt.Sprintf("data/%d/a", round), random(7, 200000)
		g, ctx := errgroup.WithContext(t.Context())
		for range 6 {
			g.Go(func() error { return s.Put(ctx, name, store.Bytes(data)) })
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		mustHave(t, s, name, data)
		mustList(t, s, fmt.Sprintf("data/%d/", round), name)
	}
}

func ifAbsent(t *testing.T, s store.Store) store.PutIfAbsenter {
	var p store.PutIfAbsenter
	if !store.As(s, &p) {
		t.Log("the store offers no create-if-absent: nothing to check")
		return nil
	}
	return p
}

func testIfAbsentRace(t *testing.T, s store.Store) {
	p := ifAbsent(t, s)
	if p == nil {
		return
	}
	for round := range 10 {
		name := fmt.Sprintf("fates/%d/a", round)
		results := make([]error, 16)
		var g errgroup.Group
		for i := range results {
			g.Go(func() error {
				results[i] = p.PutIfAbsent(t.Context(), name, store.Bytes(random(uint64(i), 1000)))
				return nil
			})
		}
		_ = g.Wait() // its functions return nothing
		winner := -1
		for i, err := range results {
			switch {
			case err == nil && winner >= 0:
				t.Fatalf("creators %d and %d both won", winner, i)
			case err == nil:
				winner = i
			default:
				mustBe(t, "a loser's answer", err, errs.Exists)
			}
		}
		if winner < 0 {
			t.Fatal("nobody won")
		}
		mustHave(t, s, name, random(uint64(winner), 1000))
	}
	if got := names(t, s, ""); len(got) != 10 {
		t.Fatalf("list = %q, want the 10 fates", got)
	}
}

func testIfAbsentTaken(t *testing.T, s store.Store) {
	p := ifAbsent(t, s)
	if p == nil {
		return
	}
	ctx := t.Context()
	if err := p.PutIfAbsent(ctx, "fates/0/a", store.Bytes("one")); err != nil {
		t.Fatal(err)
	}
	mustBe(t, "the same bytes", p.PutIfAbsent(ctx, "fates/0/a", store.Bytes("one")), errs.Exists)
	mustBe(t, "other bytes", p.PutIfAbsent(ctx, "fates/0/a", store.Bytes("two")), errs.Exists)
	mustHave(t, s, "fates/0/a", []byte("one"))
	mustPut(t, s, "fates/0/b", []byte("b"))
	mustBe(t, "a name that was put", p.PutIfAbsent(ctx, "fates/0/b", store.Bytes("c")), errs.Exists)
	if err := p.PutIfAbsent(ctx, "fates/0/c", content{5, func() (io.ReadCloser, error) { return nil, errOwn }}); !errors.Is(err, errOwn) {
		t.Fatalf("create of a content that fails: %v", err)
	}
	mustList(t, s, "", "fates/0/a", "fates/0/b")
	if err := s.Delete(ctx, "fates/0/a"); err != nil {
		t.Fatal(err)
	}
	if err := p.PutIfAbsent(ctx, "fates/0/a", store.Bytes("three")); err != nil {
		t.Fatal(err)
	}
	mustHave(t, s, "fates/0/a", []byte("three"))
}
