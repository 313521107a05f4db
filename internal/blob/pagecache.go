package blob

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
)

// The page cache is a set of files of sealed pages, each written by one process and only ever appended to:
//
//	"NACREPG1"
//	for each page: first 20 bytes of its id, u32 length of the sealed page, CRC-32C of these 24 bytes, the sealed page
//
// A file is read up to the first header that does not match its checksum, where a crash or damage ended it. A page is
// sealed under its kind and id, so it opens as what it was or not at all.
const (
	pageMagic   = "NACREPG1"
	pageSuffix  = ".pages"
	pageHeader  = 28
	maxPage     = 4 << 20 // decoded, FORMAT.md section 15
	pageFiles   = 4       // more files than this are joined at Close
	pageRoom    = 64 << 20
	pageFactor  = 4 // the cache may be so many times as large as what one run used, and pageRoom anyway
	pageTempAll = "*" + pageSuffix
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// pageCache keeps pages on this machine's disk. Where it cannot, it keeps nothing and reports that once. Its memory is
// 80 bytes a page.
type pageCache struct {
	dir    string
	local  *crypt.Local
	report func(error)

	mu     sync.Mutex
	loaded bool
	broken bool // nothing is written any more
	files  []*pageFile
	own    *pageFile // the file that this process appends to, one of files
	pages  map[id.Short]pagePlace
}

// pageFile is an open file of the cache.
type pageFile struct {
	f    *os.File
	path string
	size int64 // up to the end of its last good page
}

// pagePlace says where a page is.
type pagePlace struct {
	file uint32
	len  uint32 // of the sealed page
	at   int64  // of the sealed page
	used bool   // by this process
}

// pageName is what a page is sealed under.
func pageName(kind crypt.Kind, i id.ID) string { return string(append([]byte{byte(kind)}, i[:]...)) }

// get returns a page, or nil if the cache has none that opens.
func (c *pageCache) get(kind crypt.Kind, i id.ID) []byte {
	c.mu.Lock()
	c.loadLocked()
	p, ok := c.pages[i.Short()]
	var f *os.File
	if ok {
		f = c.files[p.file].f
	}
	c.mu.Unlock()
	if !ok {
		return nil
	}
	sealed := make([]byte, p.len)
	page, err := []byte(nil), error(nil)
	if _, err = f.ReadAt(sealed, p.at); err == nil {
		page, err = c.local.Open(nil, pageName(kind, i), sealed)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		delete(c.pages, i.Short()) // it is fetched anew and kept again
		return nil
	}
	p.used = true
	c.pages[i.Short()] = p
	return page
}

// put keeps a page.
func (c *pageCache) put(kind crypt.Kind, i id.ID, page []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.loadLocked()
	s := i.Short()
	if p, ok := c.pages[s]; ok {
		p.used = true
		c.pages[s] = p
		return
	}
	if c.broken {
		return
	}
	if err := c.appendLocked(s, c.local.Seal(nil, pageName(kind, i), page)); err != nil {
		c.broken = true
		c.report(fmt.Errorf("page cache: goes on without keeping more: %w", err))
	}
}

// appendLocked writes a sealed page into this process's file.
func (c *pageCache) appendLocked(s id.Short, sealed []byte) error {
	if c.own == nil {
		if err := os.MkdirAll(c.dir, 0o700); err != nil {
			return err
		}
		f, err := os.CreateTemp(c.dir, pageTempAll)
		if err != nil {
			return err
		}
		c.own = &pageFile{f: f, path: f.Name(), size: int64(len(pageMagic))}
		c.files = append(c.files, c.own)
		if _, err := f.WriteAt([]byte(pageMagic), 0); err != nil {
			return err
		}
	}
	b := make([]byte, 0, pageHeader+len(sealed))
	b = append(b, s[:]...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(sealed)))
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	b = append(b, sealed...)
	if _, err := c.own.f.WriteAt(b, c.own.size); err != nil {
		return err
	}
	c.pages[s] = pagePlace{file: uint32(len(c.files) - 1), len: uint32(len(sealed)), at: c.own.size + pageHeader, used: true}
	c.own.size += int64(len(b))
	return nil
}

// loadLocked reads what earlier processes kept, at first use.
func (c *pageCache) loadLocked() {
	if c.loaded {
		return
	}
	c.loaded = true
	c.pages = map[id.Short]pagePlace{}
	paths, err := filepath.Glob(filepath.Join(c.dir, pageTempAll))
	if err != nil {
		c.report(fmt.Errorf("page cache: %w", err))
		return
	}
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) { // another process joined it with others
				c.report(fmt.Errorf("page cache: %w", err))
			}
			continue
		}
		pf := &pageFile{f: f, path: path}
		c.files = append(c.files, pf)
		n := uint32(len(c.files) - 1)
		pf.size, err = scanPages(f, func(s id.Short, p pagePlace) {
			p.file = n
			c.pages[s] = p
		})
		if err != nil {
			c.report(fmt.Errorf("page cache: %s: %w", path, err))
			_ = os.Remove(path) // its good pages serve once more; where it cannot be deleted it does no harm
		}
	}
}

// scanPages calls fn for each page of a file of the cache and returns where the last good one ends. A file that ends in
// the middle of a page is no error: a crash does that.
func scanPages(f io.ReaderAt, fn func(id.Short, pagePlace)) (int64, error) {
	var h [pageHeader]byte
	if _, err := f.ReadAt(h[:len(pageMagic)], 0); err != nil || string(h[:len(pageMagic)]) != pageMagic {
		return 0, errs.New(errs.Corrupt, "not a file of pages")
	}
	at := int64(len(pageMagic))
	for {
		if _, err := f.ReadAt(h[:], at); errors.Is(err, io.EOF) {
			return at, nil
		} else if err != nil {
			return at, err
		}
		n := binary.LittleEndian.Uint32(h[20:])
		if binary.LittleEndian.Uint32(h[24:]) != crc32.Checksum(h[:24], castagnoli) || n > maxPage+crypt.LocalOverhead {
			return at, errs.New(errs.Corrupt, "damaged at byte %d", at)
		}
		fn(id.Short(h[:20]), pagePlace{len: n, at: at + pageHeader})
		at += pageHeader + int64(n)
	}
}

// close ends the cache. Too many files are joined to one; when what nobody used became too much, it is dropped.
func (c *pageCache) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var total, used int64
	for _, p := range c.pages {
		if p.used {
			used += int64(p.len) + pageHeader
		}
	}
	for _, f := range c.files {
		total += f.size
	}
	var err error
	drop := total > max(pageRoom, pageFactor*used)
	if (drop || len(c.files) > pageFiles) && !c.broken {
		err = c.joinLocked(drop)
	}
	for _, f := range c.files {
		err = errors.Join(err, f.f.Close())
	}
	c.files, c.own, c.pages = nil, nil, nil
	if err != nil {
		return fmt.Errorf("page cache: %w", err)
	}
	return nil
}

// joinLocked writes the pages of all files, or the used ones alone, into a new file and deletes the old ones.
func (c *pageCache) joinLocked(drop bool) error {
	old, pages := c.files, c.pages
	c.own, c.pages = nil, map[id.Short]pagePlace{}
	for s, p := range pages {
		if drop && !p.used {
			continue
		}
		sealed := make([]byte, p.len)
		if _, err := old[p.file].f.ReadAt(sealed, p.at); err != nil {
			continue // a page that cannot be read is as if it had not been kept
		}
		if err := c.appendLocked(s, sealed); err != nil {
			return err
		}
	}
	for _, f := range old {
		_ = f.f.Close() // it was read only, or is deleted now
		_ = os.Remove(f.path)
	}
	c.files = nil
	if c.own != nil {
		c.files = []*pageFile{c.own}
	}
	return nil
}
