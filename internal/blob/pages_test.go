package blob

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/tree"
)

var (
	_ tree.PageReader = (*Pages)(nil)
	_ tree.PageStore  = pageStore{}
)

// newPages makes a page reader that never goes to a repository, over a cache folder.
func testCache(t testing.TB, dir string) *pageCache {
	return &pageCache{dir: dir, local: crypt.NewLocal(crypt.Key{1}, "pages"), report: func(err error) { t.Error(err) }}
}

func pageN(n int) (id.ID, []byte) {
	b := content(crypt.KindTree, n, 1000+n)
	return id.ID(crypt.Sum(b)), b
}

func (c *pageCache) fill(from, to int) {
	for n := from; n < to; n++ {
		i, b := pageN(n)
		c.put(crypt.KindTree, i, b)
	}
}

// holds counts the pages from..to that the cache has.
func (c *pageCache) holds(t testing.TB, from, to int) (have int) {
	t.Helper()
	for n := from; n < to; n++ {
		i, b := pageN(n)
		got := c.get(crypt.KindTree, i)
		if got == nil {
			continue
		}
		if !bytes.Equal(got, b) {
			t.Fatalf("page %d reads back as other bytes", n)
		}
		have++
	}
	return have
}

func mustClose(t testing.TB, c *pageCache) {
	t.Helper()
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
}

func pageFilesIn(t testing.TB, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.pages"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestPagesStayFromRunToRun(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "pages")
	c := testCache(t, dir)
	if c.holds(t, 0, 10) != 0 {
		t.Fatal("an empty cache has pages")
	}
	c.fill(0, 100)
	if got := c.holds(t, 0, 100); got != 100 {
		t.Fatalf("%d pages, want 100", got)
	}
	mustClose(t, c)
	c = testCache(t, dir)
	c.fill(50, 120)
	if got := c.holds(t, 0, 130); got != 120 {
		t.Fatalf("%d pages, want 120", got)
	}
	i, _ := pageN(1)
	if c.get(crypt.KindExtent, i) != nil {
		t.Fatal("a page opens as one of another kind")
	}
	mustClose(t, c)
	if got := len(pageFilesIn(t, dir)); got != 2 {
		t.Fatalf("%d files, want 2", got)
	}
}

func TestManyFilesOfPagesAreJoined(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for n := range 7 {
		c := testCache(t, dir)
		c.fill(10*n, 10*n+10)
		mustClose(t, c)
	}
	if got := len(pageFilesIn(t, dir)); got > pageFiles {
		t.Fatalf("%d files", got)
	}
	c := testCache(t, dir)
	if got := c.holds(t, 0, 70); got != 70 {
		t.Fatalf("%d pages, want 70", got)
	}
	mustClose(t, c)
}

func TestPagesThatNobodyUsesAreDroppedWhenTheyAreTooMany(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := testCache(t, dir)
	c.fill(0, 20)
	big := make([]byte, maxPage)
	for n := range pageRoom/maxPage + 1 {
		c.put(crypt.KindTree, id.ID{byte(n), 1}, big)
	}
	mustClose(t, c)
	c = testCache(t, dir)
	if got := c.holds(t, 0, 5); got != 5 {
		t.Fatalf("%d pages, want 5", got)
	}
	mustClose(t, c)
	c = testCache(t, dir)
	if got := c.holds(t, 0, 20); got != 5 {
		t.Fatalf("%d pages are left, want the 5 used ones", got)
	}
	mustClose(t, c)
}

func TestDamagedPagesAreNotBelieved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := testCache(t, dir)
	c.fill(0, 50)
	mustClose(t, c)
	path := pageFilesIn(t, dir)[0]
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func([]byte) []byte{
		"cut short": func(b []byte) []byte { return b[:len(b)/2] },
		"a page":    func(b []byte) []byte { b[200] ^= 1; return b },
		"a length":  func(b []byte) []byte { b[8+21] ^= 1; return b },
		"the magic": func(b []byte) []byte { b[0] ^= 1; return b },
		"empty":     func([]byte) []byte { return nil },
	} {
		if err := os.WriteFile(path, change(bytes.Clone(whole)), 0o600); err != nil {
			t.Fatal(err)
		}
		c := testCache(t, dir)
		c.report = func(error) {}
		if got := c.holds(t, 0, 50); got == 50 {
			t.Errorf("%s: all pages are there", name)
		}
		c.fill(0, 50)
		if got := c.holds(t, 0, 50); got != 50 {
			t.Errorf("%s: %d pages after filling again, want 50", name, got)
		}
		mustClose(t, c)
		for _, f := range pageFilesIn(t, dir) {
			if f != path {
				if err := os.Remove(f); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

func TestAFolderThatCannotBeWrittenCostsTheCacheOnly(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c := testCache(t, filepath.Join(file, "pages"))
	reports := 0
	c.report = func(error) { reports++ }
	c.fill(0, 10)
	if c.holds(t, 0, 10) != 0 || reports != 1 {
		t.Fatalf("%d pages, %d reports", c.holds(t, 0, 10), reports)
	}
	mustClose(t, c)
}

func TestPagesComeFromTheCacheOrTheRepository(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	e := newEnv(t)
	dir := t.TempDir()
	r := e.begin(t)
	pages := NewPages(NewReader(e.repo, r.x), dir)
	st := pages.Store(r.w.Worker())
	var ids []id.ID
	for n := range 40 {
		_, b := pageN(n)
		i, err := st.Put(ctx, tree.KindTree, b)
		if err != nil {
			t.Fatal(err)
		}
		if i != e.repo.Domain().ID(crypt.KindTree, b) {
			t.Fatal("wrong id")
		}
		ids = append(ids, i)
	}
	r.commit(t)
	if err := pages.Close(); err != nil {
		t.Fatal(err)
	}
	want := func(p *Pages) {
		t.Helper()
		for n, i := range ids {
			_, b := pageN(n)
			got, err := p.Page(ctx, tree.KindTree, i)
			if err != nil || !bytes.Equal(got, b) {
				t.Fatalf("page %d: %v", n, err)
			}
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	want(NewPages(e.reader(t), ""))
	fresh := t.TempDir()
	want(NewPages(e.reader(t), fresh))
	for _, name := range e.mem.Names("meta/") {
		if err := e.mem.Delete(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	want(NewPages(e.reader(t), dir))
	want(NewPages(e.reader(t), fresh))
	p := NewPages(e.reader(t), "")
	if _, err := p.Page(ctx, tree.KindTree, ids[0]); !errors.Is(err, errs.NotFound) {
		t.Fatalf("a lost page: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}

func FuzzScanPages(f *testing.F) {
	dir := f.TempDir()
	c := testCache(f, dir)
	c.fill(0, 3)
	mustClose(f, c)
	b, err := os.ReadFile(pageFilesIn(f, dir)[0])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:100])
	f.Add([]byte(pageMagic))
	bad := binary.LittleEndian.AppendUint32(append([]byte(pageMagic), make([]byte, 20)...), 1<<31)
	f.Add(binary.LittleEndian.AppendUint32(bad, crc32.Checksum(bad[8:], castagnoli)))
	f.Fuzz(func(t *testing.T, b []byte) {
		var last int64
		end, err := scanPages(bytes.NewReader(b), func(_ id.Short, p pagePlace) {
			if p.at < last || p.len > maxPage+crypt.LocalOverhead {
				t.Fatalf("page at %d of %d bytes after %d", p.at, p.len, last)
			}
			last = p.at + int64(p.len)
		})
		if err != nil && !errors.Is(err, errs.Corrupt) {
			t.Fatal(err)
		}
		if last > end && err == nil {
			t.Fatal(fmt.Sprint(last, " is behind ", end))
		}
	})
}
