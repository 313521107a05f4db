package backup

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/tree"
)

func fileOp(dir, name string, n byte) op {
	return op{do: addNew, dir: []byte(dir), entry: tree.Entry{
		Name: []byte(name), Type: tree.File, Size: 1000 + uint64(n), Inode: uint64(n) + 7, FS: "fs",
		ModTime: tree.Time{Sec: 100, Nsec: 5}, ChangeTime: tree.Time{Sec: 101, Nsec: 6},
		Content: tree.Content{Kind: tree.Direct, IDs: []id.ID{{n}, {n, 1}}},
	}}
}

// writeJournal makes a journal with the batches in the given order.
func writeJournal(t *testing.T, batches []*batch) (path string, local *crypt.Local) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "x"+journalSuffix)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	local = crypt.NewLocal(crypt.Key{1}, "journal")
	j := &journal{file: f, path: path, name: "x", local: local}
	j.write(appendHead(nil, head{start: 1e15, host: "h", roots: []string{"/a", "/b"}}))
	for _, b := range batches {
		j.add(b)
	}
	j.close()
	return path, local
}

func TestJournalIsReadInKeyOrderWhateverTheOrderOfCompletion(t *testing.T) {
	t.Parallel()
	var batches []*batch
	for i := range 200 {
		batches = append(batches, &batch{seq: uint64(i), ops: []op{fileOp("d", string([]byte{'a' + byte(i/16), 'a' + byte(i%16)}), byte(i))}})
	}
	shuffled := append([]*batch(nil), batches...)
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := 0; i < len(shuffled); i += 50 {
		part := shuffled[i:min(i+50, len(shuffled))]
		rnd.Shuffle(len(part), func(a, b int) { part[a], part[b] = part[b], part[a] })
	}
	path, local := writeJournal(t, shuffled)
	j, err := openJournal(path, "x", local)
	if err != nil {
		t.Fatal(err)
	}
	defer j.close()
	j.stored = func(id.ID) bool { return true }
	if !j.head.same(head{host: "h", roots: []string{"/a", "/b"}}) || j.head.start != 1e15 {
		t.Errorf("the head came back as %+v", j.head)
	}
	for i, b := range batches {
		e := b.ops[0].entry
		if i%7 == 3 {
			continue // not every file is asked for
		}
		f := j.find(context.Background(), b.ops[0].dir, &e)
		if f == nil || cmp.Diff(f.entry.Content, e.Content) != "" {
			t.Fatalf("file %d: found %v", i, f)
		}
	}
}

func TestJournalAnswersOnlyForFilesThatWereNotTouched(t *testing.T) {
	t.Parallel()
	touched := map[string]func(e *tree.Entry){
		"other size":        func(e *tree.Entry) { e.Size++ },
		"other mtime":       func(e *tree.Entry) { e.ModTime.Nsec++ },
		"other ctime":       func(e *tree.Entry) { e.ChangeTime.Nsec++ },
		"other inode":       func(e *tree.Entry) { e.Inode++ },
		"other file system": func(e *tree.Entry) { e.FS = "other" },
	}
	for name, touch := range touched {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &batch{ops: []op{fileOp("d", "f", 1)}}
			path, local := writeJournal(t, []*batch{b})
			j, err := openJournal(path, "x", local)
			if err != nil {
				t.Fatal(err)
			}
			defer j.close()
			j.stored = func(id.ID) bool { return true }
			e := b.ops[0].entry
			touch(&e)
			if j.find(context.Background(), []byte("d"), &e) != nil {
				t.Error("the journal answered for a file that was touched")
			}
		})
	}
}

func TestJournalDoesNotAnswerWhereABlobIsMissing(t *testing.T) {
	t.Parallel()
	b := &batch{ops: []op{fileOp("d", "f", 1)}}
	path, local := writeJournal(t, []*batch{b})
	j, err := openJournal(path, "x", local)
	if err != nil {
		t.Fatal(err)
	}
	defer j.close()
	j.stored = func(i id.ID) bool { return i != b.ops[0].entry.Content.IDs[1] }
	if j.find(context.Background(), []byte("d"), &b.ops[0].entry) != nil {
		t.Error("the journal answered though a blob is not stored")
	}
}

func TestTornJournalEndsWhereItIsTorn(t *testing.T) {
	t.Parallel()
	batches := []*batch{{seq: 0, ops: []op{fileOp("d", "a", 1)}}, {seq: 1, ops: []op{fileOp("d", "b", 2)}}}
	path, local := writeJournal(t, batches)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := openJournal(path, "x", local)
		if err == nil {
			j.stored = func(id.ID) bool { return true }
			for _, b := range batches { // it may know or not know; it must not lie or fail
				if f := j.find(context.Background(), []byte("d"), &b.ops[0].entry); f != nil && cmp.Diff(f.entry.Content, b.ops[0].entry.Content) != "" {
					t.Fatalf("cut at %d: wrong content", n)
				}
			}
		}
		j.close()
	}
}

func TestJournalRecordsThatNoWriterMakesAreRefused(t *testing.T) {
	t.Parallel()
	record := func(change func(e *tree.Entry)) []byte {
		o := fileOp("d", "n", 1)
		change(&o.entry)
		return appendFile([]byte{3}, o.dir, &o.entry, nil)
	}
	list := func(l ...piece) []byte {
		o := fileOp("d", "n", 1)
		o.entry.Content = tree.Content{Kind: tree.Extents, IDs: []id.ID{{3}}}
		o.entry.Size = 0
		for _, p := range l {
			o.entry.Size += p.n
		}
		return appendFile([]byte{3}, o.dir, &o.entry, l)
	}
	if _, files, ok := decodeBatch(list(piece{1 << 20, id.ID{1}}, piece{n: 1 << 40})); !ok || len(files) != 1 {
		t.Fatal("a good record is refused")
	}
	for name, b := range map[string][]byte{
		"no sequence number":      {},
		"a full second":           record(func(e *tree.Entry) { e.ModTime.Nsec = 1e9 }),
		"another full second":     record(func(e *tree.Entry) { e.ChangeTime.Nsec = 1<<32 - 1 }),
		"a high level":            record(func(e *tree.Entry) { e.Content = tree.Content{Kind: tree.Extents, IDs: []id.ID{{3}}, Level: 16} }),
		"a level without a list":  record(func(e *tree.Entry) { e.Content.Level = 1 }),
		"an unknown content":      record(func(e *tree.Entry) { e.Content.Kind = 9 }),
		"no ids":                  record(func(e *tree.Entry) { e.Content.IDs = nil }),
		"many ids":                record(func(e *tree.Entry) { e.Content.IDs = make([]id.ID, 5) }),
		"inline of another size":  record(func(e *tree.Entry) { e.Content = tree.Content{Kind: tree.Inline, Inline: []byte("x")} }),
		"a piece above a blob":    list(piece{1 << 24, id.ID{1}}),
		"a piece of nothing":      list(piece{0, id.ID{1}}, piece{n: 5}),
		"a name beyond the bytes": {3, 1, 'd', 200, 'n'},
		"a length of 2^63":        append([]byte{3}, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01),
		"a number above 64 bits":  append([]byte{3}, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02),
	} {
		if _, _, ok := decodeBatch(b); ok {
			t.Errorf("%s: it is taken", name)
		}
	}
	if _, ok := decodeHead([]byte{0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}); ok {
		t.Error("2^64 roots in no bytes are taken")
	}
}

func FuzzDecodeBatch(f *testing.F) {
	rec := []byte{3}
	o := fileOp("dir/sub", "name", 9)
	rec = appendFile(rec, o.dir, &o.entry, nil)
	o.entry.Content = tree.Content{Kind: tree.Inline, Inline: []byte("abc")}
	o.entry.Size = 3
	rec = appendFile(rec, o.dir, &o.entry, nil)
	o.entry.Content = tree.Content{Kind: tree.Extents, IDs: []id.ID{{3}}}
	o.entry.Size = 1 << 20
	rec = appendFile(rec, o.dir, &o.entry, nil)
	rec = appendFile(rec, o.dir, &o.entry, []piece{{n: 1 << 19, id: id.ID{4}}, {n: 1 << 18}, {n: 1 << 18, id: id.ID{5}}})
	f.Add(rec)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		seq, files, ok := decodeBatch(b)
		decodeHead(b)
		if !ok {
			return
		}
		var again []byte
		again = append(again, appendUvarint(seq)...)
		for i := range files {
			again = appendFile(again, files[i].key.Dir, &files[i].entry, files[i].pieces.list)
		}
		seq2, files2, ok := decodeBatch(again)
		if !ok || seq2 != seq || len(files2) != len(files) {
			t.Fatalf("encoding what was decoded does not decode: %v", ok)
		}
		for i := range files {
			if !bytes.Equal(files[i].key.Name, files2[i].key.Name) || files[i].entry.Size != files2[i].entry.Size {
				t.Fatalf("file %d changed", i)
			}
		}
	})
}

func appendUvarint(v uint64) []byte {
	var b []byte
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

func TestJournalKnowsAnExtentListWithoutItsPages(t *testing.T) {
	t.Parallel()
	o := fileOp("d", "f", 1)
	o.entry.Size = 3 << 20
	o.entry.Content = tree.Content{Kind: tree.Extents, IDs: []id.ID{{9}}, Level: 0}
	for i := range 6 {
		o.pieces.add(1<<19-uint64(i%2)*100+uint64((i+1)%2)*100, id.ID{byte(i % 5)}) // one of them is a hole
	}
	path, local := writeJournal(t, []*batch{{ops: []op{o}}})
	for _, missing := range []id.ID{{}, {3}} {
		j, err := openJournal(path, "x", local)
		if err != nil {
			t.Fatal(err)
		}
		j.stored = func(i id.ID) bool { return i != id.ID{9} && (missing.IsZero() || i != missing) } // the page is lost
		f := j.find(context.Background(), o.dir, &o.entry)
		switch {
		case !missing.IsZero() && f != nil:
			t.Error("the journal answered though a blob is not stored")
		case missing.IsZero() && (f == nil || cmp.Diff(f.pieces.list, o.pieces.list, cmp.AllowUnexported(piece{})) != ""):
			t.Errorf("the journal gave %v", f)
		}
		j.close()
	}
}

func TestEachDeadRunsJournalIsAsked(t *testing.T) {
	t.Parallel()
	names := []string{"a", "b", "c", "d"}
	var past pastJournals
	for k := range names {
		// Each run died before it came to all that the one before knew, or was told of other files.
		var b batch
		for i, n := range names[k:] {
			b.ops = append(b.ops, fileOp("d", n, byte(k+i)))
		}
		path, local := writeJournal(t, []*batch{&b})
		j, err := openJournal(path, "x", local)
		if err != nil {
			t.Fatal(err)
		}
		j.stored = func(i id.ID) bool { return int(i[0]) != k+1 } // what the next one alone has
		past = append(past, j)
	}
	defer past.close()
	for i, n := range names {
		o := fileOp("d", n, byte(i))
		if f := past.find(context.Background(), o.dir, &o.entry); f == nil || cmp.Diff(f.entry.Content, o.entry.Content) != "" {
			t.Errorf("file %s: found %v", n, f)
		}
	}
}

func TestAListTooLongForARecordIsLeftOut(t *testing.T) {
	t.Parallel()
	var b batch
	for i := range 4 {
		o := fileOp("d", string(rune('a'+i)), byte(i))
		o.entry.Size, o.entry.Content = maxPieces, tree.Content{Kind: tree.Extents, IDs: []id.ID{{byte(i)}}}
		for range maxPieces {
			o.pieces.add(1, id.ID{byte(i), 1})
		}
		b.ops = append(b.ops, o)
	}
	path, local := writeJournal(t, []*batch{&b})
	j, err := openJournal(path, "x", local)
	if err != nil {
		t.Fatal(err)
	}
	defer j.close()
	if !j.next() || len(j.files) != 4 || j.files[0].pieces.list != nil {
		t.Errorf("%d files came back", len(j.files))
	}
	l := b.ops[0].pieces
	if l.add(1, id.ID{}); !l.full || l.list != nil {
		t.Error("a list of any length is kept")
	}
}
