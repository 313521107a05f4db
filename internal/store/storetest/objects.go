package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/store"
)

func testRoundTrip(t *testing.T, s store.Store) {
	for i, n := range sizes {
		mustPut(t, s, fmt.Sprintf("data/%d", n), random(uint64(i), n))
	}
	for i, n := range sizes {
		mustHave(t, s, fmt.Sprintf("data/%d", n), random(uint64(i), n))
	}
}

func testRanges(t *testing.T, s store.Store) {
	data := random(1, 1<<20+4099)
	mustPut(t, s, "data/a", data)
	for _, r := range []store.Range{
		{Offset: 0, Length: 1},
		{Offset: 0, Length: int64(len(data))},
		{Offset: 1, Length: 4096},
		{Offset: 4095, Length: 2},
		{Offset: 1 << 20, Length: 4099},
		{Offset: int64(len(data)) - 1, Length: 1},
		{Offset: 65536, Length: 65536},
	} {
		got, err := get(t.Context(), s, "data/a", r)
		if err != nil {
			t.Fatalf("get %+v: %v", r, err)
		}
		if !bytes.Equal(got, data[r.Offset:r.Offset+r.Length]) {
			t.Fatalf("get %+v: wrong bytes (%d of them)", r, len(got))
		}
	}
	for _, r := range []store.Range{{Offset: -1, Length: 1}, {Offset: 0, Length: -1}, {Offset: 1, Length: 0}, {Offset: 1<<63 - 1, Length: 1}} {
		called := false
		err := s.Get(t.Context(), "data/a", r, func(io.Reader) error { called = true; return nil })
		mustBe(t, fmt.Sprintf("get %+v", r), err, errs.Usage)
		if called {
			t.Fatalf("get %+v: the callback was called", r)
		}
	}
}

func testShortRange(t *testing.T, s store.Store) {
	data := random(2, 5000)
	mustPut(t, s, "data/a", data)
	for _, r := range []store.Range{{Offset: 0, Length: 5001}, {Offset: 4999, Length: 2}, {Offset: 5000, Length: 1}, {Offset: 1 << 40, Length: 1}} {
		got, err := get(t.Context(), s, "data/a", r)
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("get %+v = %d bytes, %v; want an unexpected end", r, len(got), err)
		}
		if want := data[min(r.Offset, 5000):]; !bytes.Equal(got, want) {
			t.Fatalf("get %+v: %d bytes before the end, want %d", r, len(got), len(want))
		}
	}
}

func testPutAgain(t *testing.T, s store.Store) {
	for i, n := range []int{0, 1, 4096, 3<<20 + 1} {
		name, data := fmt.Sprintf("data/%d", n), random(uint64(i), n)
		for range 3 {
			mustPut(t, s, name, data)
			mustHave(t, s, name, data)
		}
	}
	if got := names(t, s, ""); len(got) != 4 {
		t.Fatalf("list = %q, want 4 names", got)
	}
}

func testPutOther(t *testing.T, s store.Store) {
	data := random(3, 9000)
	mustPut(t, s, "fates/0/a", data)
	flipped := bytes.Clone(data)
	flipped[8999] ^= 1
	for what, other := range map[string][]byte{
		"a flipped bit": flipped, "fewer bytes": data[:8999], "no bytes": nil, "more bytes": append(bytes.Clone(data), 0),
	} {
		mustBe(t, "put "+what, s.Put(t.Context(), "fates/0/a", store.Bytes(other)), errs.Exists)
		mustHave(t, s, "fates/0/a", data)
	}
	mustList(t, s, "", "fates/0/a")
}

// content is a Content of any behaviour.
type content struct {
	size int64
	open func() (io.ReadCloser, error)
}

func (c content) Size() int64                  { return c.size }
func (c content) Open() (io.ReadCloser, error) { return c.open() }

func yields(size int64, r func() io.Reader) content {
	return content{size, func() (io.ReadCloser, error) { return io.NopCloser(r()), nil }}
}

type badClose struct{ io.Reader }

var errOwn = errors.New("the test's own error")

func (badClose) Close() error { return errOwn }

func testBrokenContent(t *testing.T, s store.Store) {
	data := random(4, 3<<20)
	for name, c := range map[string]content{
		"open":  {100, func() (io.ReadCloser, error) { return nil, errOwn }},
		"close": {100, func() (io.ReadCloser, error) { return badClose{bytes.NewReader(data[:100])}, nil }},
		"first": yields(100, func() io.Reader { return iotest.ErrReader(errOwn) }),
		"later": yields(3<<20, func() io.Reader {
			return io.MultiReader(bytes.NewReader(data[:2<<20]), iotest.ErrReader(errOwn))
		}),
		"short":   yields(3<<20+1, func() io.Reader { return bytes.NewReader(data) }),
		"long":    yields(3<<20-1, func() io.Reader { return bytes.NewReader(data) }),
		"nothing": yields(1, func() io.Reader { return bytes.NewReader(nil) }),
	} {
		err := s.Put(t.Context(), "data/"+name, c)
		if err == nil {
			t.Fatalf("put of a content that fails (%s) succeeded", name)
		}
		if own := name == "open" || name == "close" || name == "first" || name == "later"; own && !errors.Is(err, errOwn) {
			t.Fatalf("put of a content that fails (%s): %v does not wrap its error", name, err)
		}
		_, err = s.Stat(t.Context(), "data/"+name)
		mustBe(t, "stat after the failure ("+name+")", err, errs.NotFound)
	}
	mustList(t, s, "")
	mustPut(t, s, "data/slow", data)
	slow := yields(3<<20, func() io.Reader { return iotest.DataErrReader(iotest.HalfReader(bytes.NewReader(data))) })
	if err := s.Put(t.Context(), "data/half", slow); err != nil {
		t.Fatal(err)
	}
	mustHave(t, s, "data/half", data)
}

func testNotFound(t *testing.T, s store.Store) {
	mustPut(t, s, "data/0/a", []byte("a"))
	for _, name := range []string{"x", "data/0/b", "data/0", "data", "data/1/a", "data/0/a/b", "a", strings.Repeat("n", 200)} {
		_, err := s.Stat(t.Context(), name)
		mustBe(t, "stat "+name, err, errs.NotFound)
		called := false
		err = s.Get(t.Context(), name, store.Range{}, func(io.Reader) error { called = true; return nil })
		mustBe(t, "get "+name, err, errs.NotFound)
		if called {
			t.Fatalf("get %s: the callback was called", name)
		}
		if err := s.Delete(t.Context(), name); err != nil {
			t.Fatalf("delete %s: %v", name, err)
		}
		mustList(t, s, "nothing/")
	}
	mustHave(t, s, "data/0/a", []byte("a"))
}

func testNames(t *testing.T, s store.Store) {
	ctx := t.Context()
	for _, name := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "...", "a.", "a./b", "a/..", "../a", "a/./b", "A", "a b", "a\x00", "a\\b", "ä", "a:b", "a+b", "~a", strings.Repeat("n", 256),
	} {
		mustBe(t, "put "+name, s.Put(ctx, name, store.Bytes("x")), errs.Usage)
		_, err := s.Stat(ctx, name)
		mustBe(t, "stat "+name, err, errs.Usage)
		mustBe(t, "get "+name, s.Get(ctx, name, store.Range{}, func(io.Reader) error { return nil }), errs.Usage)
		mustBe(t, "delete "+name, s.Delete(ctx, name), errs.Usage)
		var p store.PutIfAbsenter
		if store.As(s, &p) {
			mustBe(t, "create "+name, p.PutIfAbsent(ctx, name, store.Bytes("x")), errs.Usage)
		}
	}
	for _, prefix := range []string{"a", "/", "a//", "../", "A/", "a/b"} {
		mustBe(t, "list "+prefix, s.List(ctx, prefix, func(store.Info) error { return nil }), errs.Usage)
	}
	mustList(t, s, "")
}

func testOddNames(t *testing.T, s store.Store) {
	want := []string{
		"-", "..a", ".a", "0", "_", "a", "a.lnk.b-c_d", "b/.tmp", "d/e/f/g/h/i/j/k/l/m/n/o/p",
		strings.Repeat("n", 200), strings.Repeat("p", 127) + "/" + strings.Repeat("q", 127),
	}
	if len(want[len(want)-1]) != store.MaxName {
		t.Fatal("the longest name has not the greatest length")
	}
	for _, name := range want {
		mustPut(t, s, name, []byte(name))
	}
	for _, name := range want {
		mustHave(t, s, name, []byte(name))
	}
	if got := names(t, s, ""); len(got) != len(want) {
		t.Fatalf("list = %q, want %q", got, want)
	}
}

func testGetCallback(t *testing.T, s store.Store) {
	mustPut(t, s, "data/a", random(5, 1<<20))
	calls := 0
	err := s.Get(t.Context(), "data/a", store.Range{}, func(r io.Reader) error {
		calls++
		if _, err := io.CopyN(io.Discard, r, 1000); err != nil {
			return err
		}
		return errOwn
	})
	if err != errOwn || calls != 1 { //nolint:errorlint // as it is, not wrapped
		t.Fatalf("get returned %v after %d calls of the callback, want its own error after one", err, calls)
	}
	if err := s.Get(t.Context(), "data/a", store.Range{}, func(io.Reader) error { return nil }); err != nil {
		t.Fatalf("get whose callback reads nothing: %v", err)
	}
}

func testDelete(t *testing.T, s store.Store) {
	mustPut(t, s, "data/0/a", []byte("a"))
	mustPut(t, s, "data/0/b", []byte("b"))
	mustPut(t, s, "data/1/c", []byte("c"))
	for range 2 {
		if err := s.Delete(t.Context(), "data/0/a"); err != nil {
			t.Fatal(err)
		}
		_, err := s.Stat(t.Context(), "data/0/a")
		mustBe(t, "stat after delete", err, errs.NotFound)
		mustList(t, s, "", "data/0/b", "data/1/c")
	}
	if err := s.Delete(t.Context(), "data/0/b"); err != nil {
		t.Fatal(err)
	}
	mustList(t, s, "data/0/")
	mustList(t, s, "", "data/1/c")
	mustPut(t, s, "data/0/d", []byte("d"))
	mustHave(t, s, "data/0/d", []byte("d"))
}

func testCancelled(t *testing.T, s store.Store) {
	data := random(6, 3<<20)
	mustPut(t, s, "data/a", data)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := s.Get(ctx, "data/a", store.Range{}, func(r io.Reader) error {
		if _, err := io.CopyN(io.Discard, r, 1000); err != nil {
			return err
		}
		cancel()
		_, err := io.Copy(io.Discard, r)
		return err
	})
	mustBe(t, "get cancelled in its middle", err, context.Canceled)

	calls := map[string]func() error{
		"put":    func() error { return s.Put(ctx, "data/b", store.Bytes(data)) },
		"flush":  func() error { return s.Flush(ctx) },
		"get":    func() error { return s.Get(ctx, "data/a", store.Range{}, func(io.Reader) error { return nil }) },
		"stat":   func() error { _, err := s.Stat(ctx, "data/a"); return err },
		"list":   func() error { return s.List(ctx, "", func(store.Info) error { return nil }) },
		"delete": func() error { return s.Delete(ctx, "data/a") },
	}
	var p store.PutIfAbsenter
	if store.As(s, &p) {
		calls["create"] = func() error { return p.PutIfAbsent(ctx, "data/b", store.Bytes(data)) }
	}
	var st store.Streamer
	if store.As(s, &st) {
		calls["stream"] = func() error { _, err := st.Stream(ctx); return err }
		w, err := st.Stream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
		mustBe(t, "commit", w.Commit(ctx, "data/b"), context.Canceled)
	}
	for what, call := range calls {
		mustBe(t, what, call(), context.Canceled)
	}

	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	err = s.Put(ctx, "data/c", yields(3<<20, func() io.Reader { return &cancelling{bytes.NewReader(data), cancel} }))
	mustBe(t, "put cancelled in its middle", err, context.Canceled)
	mustList(t, s, "", "data/a")
	mustHave(t, s, "data/a", data)
}

// cancelling ends a context at its first read.
type cancelling struct {
	io.Reader
	cancel func()
}

func (c *cancelling) Read(p []byte) (int, error) {
	c.cancel()
	return c.Reader.Read(p)
}

func testFlush(t *testing.T, s store.Store) {
	for i := range 3 {
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("data/%d/a", i)
		mustPut(t, s, name, random(uint64(i), 100000))
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		mustHave(t, s, name, random(uint64(i), 100000))
	}
	if err := s.Delete(t.Context(), "data/0/a"); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustList(t, s, "", "data/1/a", "data/2/a")
}
