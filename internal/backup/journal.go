package backup

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/segment"
	"github.com/nacre-backup/nacre/internal/tree"
)

// The journal is a local hint: which files a run has read, with the ids of their content, in the order in which they
// became ready. A run that finds the journal of one that died does not read again what it names, as far as the blobs
// are in packs that were taken over. It is sealed with the domain's cache key. Losing it costs reading.
//
// A record is a batch: u32 length, then the sealed bytes. Record 0 says whose journal it is. Batches become ready in
// nearly the order of the scan: no batch is more than the window away from its place (journalReader).
//
// A file whose content is an extent list stands there with the list itself: the pages of the list are in an open
// metadata pack as a rule, which dies with the run, while the data packs with its blobs are finished.

const (
	// maxRecord bounds a record: 256 entries with paths of 1 MiB would not fit, and are left out.
	maxRecord = 1 << 20
	// maxPieces bounds the list of a file in a record: 600 KiB, which stand for 4 GiB as a rule.
	maxPieces = 16384
	// maxListLevel is the format's limit of an extent list's root.
	maxListLevel = 15
	// maxJournals bounds the journals of dead runs that are read side by side: the newest ones. A run that dies has
	// taken over what it came to of the ones before.
	maxJournals = 16
)

// pieceList is what an extent list says. A longer one is given up.
type pieceList struct {
	list []piece
	full bool
}

// piece is a blob, or a hole where id is zero.
type piece struct {
	n  uint64
	id id.ID
}

func (l *pieceList) add(n uint64, i id.ID) {
	switch {
	case l.full:
	case len(l.list) == maxPieces:
		l.list, l.full = nil, true
	default:
		l.list = append(l.list, piece{n, i})
	}
}

// journal writes. A nil journal takes everything and keeps nothing.
type journal struct {
	mu    sync.Mutex
	file  *os.File
	path  string
	name  string // bound into the seals
	n     uint64
	local *crypt.Local
	buf   []byte
	past  []string // journals that this one makes needless
}

// journalSuffix is how journals' names end.
const journalSuffix = ".journal"

func journalDir(state string) string { return filepath.Join(state, "journal") }

// openJournals begins this run's journal and opens those of runs of the same job that died. There may be none: a journal
// is a hint.
func (r *run) openJournals() pastJournals {
	if r.o.StateDir == "" || r.o.Stream {
		return nil
	}
	dir := journalDir(r.o.StateDir)
	local := crypt.NewLocal(r.domain.CacheKey(), "journal")
	past, needless := r.findJournals(dir, local)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		r.note("no journal: %v", err)
		return past
	}
	name := r.sess.ID().String()
	path := filepath.Join(dir, name+journalSuffix)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		r.note("no journal: %v", err)
		return past
	}
	r.journal = &journal{file: f, path: path, name: name, local: local, past: needless}
	r.journal.write(appendHead(nil, r.jobHead()))
	return past
}

// head says whose journal it is.
type head struct {
	start int64
	host  string
	roots []string
}

func (r *run) jobHead() head { return head{r.started.UnixNano(), r.o.Host, r.o.Roots} }

// findJournals opens the newest journals of the same job, the newest first, and lists all of them.
func (r *run) findJournals(dir string, local *crypt.Local) (past pastJournals, all []string) {
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil
	}
	for _, n := range names {
		name, ok := strings.CutSuffix(n.Name(), journalSuffix)
		if !ok {
			continue
		}
		j, err := openJournal(filepath.Join(dir, n.Name()), name, local)
		if err != nil || !j.head.same(r.jobHead()) {
			j.close()
			continue
		}
		j.stored, j.pages = r.stored, r.pages
		all, past = append(all, j.path), append(past, j)
		slices.SortStableFunc(past, func(a, b *journalReader) int { return cmp.Compare(b.head.start, a.head.start) })
		if len(past) > maxJournals {
			past[maxJournals].close()
			past = past[:maxJournals]
		}
	}
	return past, all
}

func (h head) same(o head) bool {
	return h.host == o.host && strings.Join(h.roots, "\x00") == strings.Join(o.roots, "\x00")
}

// add writes what a batch's files became.
func (j *journal) add(b *batch) {
	if j == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return
	}
	for _, lists := range []bool{true, false} {
		rec := binary.AppendUvarint(j.buf[:0], b.seq)
		before := len(rec)
		for i := range b.ops {
			o := &b.ops[i]
			if o.do != addNew || o.err != nil || o.entry.Type != tree.File || o.entry.Content.Kind == tree.Empty {
				continue
			}
			var list []piece
			if lists {
				list = o.pieces.list
			}
			rec = appendFile(rec, o.dir, &o.entry, list)
		}
		j.buf = rec
		if len(rec) <= maxRecord {
			if len(rec) > before {
				j.write(rec)
			}
			return
		}
	}
}

// write seals a record. After a failure (a full disk) the journal is given up.
func (j *journal) write(rec []byte) {
	sealed := j.local.Seal(make([]byte, 4, 4+len(rec)+64), recordName(j.name, j.n), rec)
	j.n++
	binary.LittleEndian.PutUint32(sealed, uint32(len(sealed)-4))
	if _, err := j.file.Write(sealed); err != nil {
		_ = j.file.Close() // it failed already
		j.file = nil
	}
}

func recordName(journal string, n uint64) string { return fmt.Sprintf("%s/%d", journal, n) }

// close keeps the journal for the next run.
func (j *journal) close() {
	if j == nil || j.file == nil {
		return
	}
	_ = j.file.Close() // a hint that is not complete is still one
	j.file = nil
}

// drop removes the journal, and those before it, after the commit.
func (j *journal) drop() {
	if j == nil {
		return
	}
	j.close()
	for _, p := range append(j.past, j.path) {
		_ = os.Remove(p) // the next run removes what stays
	}
}

// appendHead encodes record 0.
func appendHead(dst []byte, h head) []byte {
	dst = binary.AppendVarint(dst, h.start)
	dst = appendString(dst, h.host)
	dst = binary.AppendUvarint(dst, uint64(len(h.roots)))
	for _, p := range h.roots {
		dst = appendString(dst, p)
	}
	return dst
}

func appendString[T string | []byte](dst []byte, s T) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

// appendFile encodes one file: where it is, what tells that it was not touched, and its content; that of an extent list
// also as the list, if there is one.
func appendFile(dst, dir []byte, e *tree.Entry, list []piece) []byte {
	dst = appendString(dst, dir)
	dst = appendString(dst, e.Name)
	dst = binary.AppendUvarint(dst, e.Size)
	for _, t := range []tree.Time{e.ModTime, e.ChangeTime} {
		dst = binary.AppendVarint(dst, t.Sec)
		dst = binary.AppendUvarint(dst, uint64(t.Nsec))
	}
	dst = binary.AppendUvarint(dst, e.Inode)
	dst = appendString(dst, e.FS)
	dst = append(dst, byte(e.Content.Kind), e.Content.Level)
	if e.Content.Kind == tree.Inline {
		return appendString(dst, e.Content.Inline)
	}
	dst = binary.AppendUvarint(dst, uint64(len(e.Content.IDs)))
	for _, i := range e.Content.IDs {
		dst = append(dst, i[:]...)
	}
	if e.Content.Kind != tree.Extents {
		return dst
	}
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	for i := range list {
		if p := &list[i]; p.id.IsZero() {
			dst = binary.AppendUvarint(dst, p.n<<1|1)
		} else {
			dst = append(binary.AppendUvarint(dst, p.n<<1), p.id[:]...)
		}
	}
	return dst
}

// journalFile is a decoded file of a journal.
type journalFile struct {
	key    tree.Key
	entry  tree.Entry
	pieces pieceList
}

// decoder reads what append wrote. Its first failure makes everything after it zero.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) bytes(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return nil
	}
	p := d.b[:n:n]
	d.b = d.b[n:]
	return p
}

func (d *decoder) string() []byte { return d.bytes(d.uvarint()) }

// file decodes one file; its slices point into the record.
//
//nolint:gocyclo // a check of each field
func (d *decoder) file() journalFile {
	var f journalFile
	e := &f.entry
	f.key.Dir, f.key.Name = d.string(), d.string()
	e.Type, e.Name, e.Size = tree.File, f.key.Name, d.uvarint()
	for _, t := range []*tree.Time{&e.ModTime, &e.ChangeTime} {
		sec, nsec := d.varint(), d.uvarint()
		t.Sec, t.Nsec = sec, uint32(nsec)
		d.bad = d.bad || nsec > 999_999_999
	}
	e.Inode, e.FS = d.uvarint(), string(d.string())
	kind := d.bytes(2)
	if d.bad {
		return f
	}
	e.Content.Kind, e.Content.Level = tree.ContentKind(kind[0]), kind[1]
	if e.Content.Level > maxListLevel || e.Content.Level > 0 && e.Content.Kind != tree.Extents {
		d.bad = true
		return f
	}
	switch e.Content.Kind {
	case tree.Inline:
		e.Content.Inline = d.string()
		d.bad = d.bad || uint64(len(e.Content.Inline)) != e.Size || e.Size > maxInline
	case tree.Direct, tree.Extents:
		n := d.uvarint()
		if n == 0 || n > 4 || e.Content.Kind == tree.Extents && n != 1 {
			d.bad = true
			return f
		}
		for range n {
			var i id.ID
			copy(i[:], d.bytes(uint64(len(i))))
			e.Content.IDs = append(e.Content.IDs, i)
		}
		if e.Content.Kind == tree.Extents {
			f.pieces.list = d.pieces(e.Size)
		}
	default:
		d.bad = true
	}
	return f
}

// pieces decodes the list of a file of the size.
func (d *decoder) pieces(size uint64) (list []piece) {
	n := d.uvarint()
	if n == 0 {
		return nil
	}
	if n > maxPieces || n > uint64(len(d.b)) {
		d.bad = true
		return nil
	}
	list = make([]piece, n)
	for i := range list {
		v := d.uvarint()
		p := &list[i]
		if p.n = v >> 1; v&1 == 0 {
			copy(p.id[:], d.bytes(uint64(len(p.id))))
		}
		if p.n == 0 || p.n > size || v&1 == 0 && (p.id.IsZero() || p.n > segment.MaxBlob) {
			d.bad = true
			return nil
		}
		size -= p.n
	}
	d.bad = d.bad || size != 0
	return list
}

// decodeHead decodes record 0.
func decodeHead(b []byte) (head, bool) {
	d := decoder{b: b}
	h := head{start: d.varint(), host: string(d.string())}
	for n := d.uvarint(); n > 0 && !d.bad; n-- {
		h.roots = append(h.roots, string(d.string()))
	}
	return h, !d.bad && len(d.b) == 0
}

// decodeBatch decodes a batch's record; ok is false where anything in it is wrong.
func decodeBatch(b []byte) (seq uint64, files []journalFile, ok bool) {
	d := decoder{b: b}
	seq = d.uvarint()
	for len(d.b) > 0 && !d.bad {
		files = append(files, d.file())
	}
	return seq, files, !d.bad
}

// readRecord reads the next sealed record of a journal.
func readRecord(r io.Reader, local *crypt.Local, name string) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(size[:])
	if n > maxRecord+256 {
		return nil, io.ErrUnexpectedEOF
	}
	sealed := make([]byte, n)
	if _, err := io.ReadFull(r, sealed); err != nil {
		return nil, err
	}
	return local.Open(nil, name, sealed)
}
