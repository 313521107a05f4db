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
		c, ok := j.find(context.Background(), b.ops[0].dir, &e)
		if !ok || cmp.Diff(c, e.Content) != "" {
			t.Fatalf("file %d: found %v, content %v", i, ok, c)
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
			if _, ok := j.find(context.Background(), []byte("d"), &e); ok {
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
	if _, ok := j.find(context.Background(), []byte("d"), &b.ops[0].entry); ok {
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
				if c, ok := j.find(context.Background(), []byte("d"), &b.ops[0].entry); ok && cmp.Diff(c, b.ops[0].entry.Content) != "" {
					t.Fatalf("cut at %d: wrong content", n)
				}
			}
		}
		j.close()
	}
}

func FuzzDecodeBatch(f *testing.F) {
	rec := []byte{3}
	o := fileOp("dir/sub", "name", 9)
	rec = appendFile(rec, o.dir, &o.entry)
	o.entry.Content = tree.Content{Kind: tree.Inline, Inline: []byte("abc")}
	o.entry.Size = 3
	rec = appendFile(rec, o.dir, &o.entry)
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
			again = appendFile(again, files[i].key.Dir, &files[i].entry)
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
