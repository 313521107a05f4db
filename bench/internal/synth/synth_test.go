package synth

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/tree"
)

// nowhere takes pages and forgets them.
type nowhere struct{}

// Put implements tree.PageStore.
func (nowhere) Put(context.Context, tree.Kind, []byte) (id.ID, error) { return id.ID{}, nil }

func TestEntriesMakeATree(t *testing.T) {
	t.Parallel()
	const files = 10_250 // two areas, the last directory half full
	b := tree.NewBuilder([32]byte{1}, nowhere{})
	for it, err := range (&Source{Files: files}).Entries(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Add(t.Context(), it.Dir, it.Entry); err != nil {
			t.Fatal(err)
		}
	}
	ref, err := b.Finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := uint64(1 + 2 + 103 + files); ref.Entries != want {
		t.Errorf("%d entries, want %d", ref.Entries, want)
	}
}

func TestRetainedItemsOutliveTheListingAndReadTheSameInAnyPieces(t *testing.T) {
	t.Parallel()
	s := &Source{Files: 2, Size: 30, Text: []byte("twelve bytes")}
	var contents [][]byte
	for it, err := range s.Entries(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if it.Entry.Type != tree.File {
			continue
		}
		k := s.Retain(it)
		clear(it.Entry.Name) // the next step does as much
		if !bytes.HasPrefix(k.Entry.Name, []byte("file0000000")) || string(k.Dir) != "area00000000/dir00000000" {
			t.Errorf("%q in %q", k.Entry.Name, k.Dir)
		}
		f, err := s.Open(t.Context(), k)
		if err != nil {
			t.Fatal(err)
		}
		whole := make([]byte, 40)
		n, err := f.ReadAt(whole, 0)
		if n != s.Size || !errors.Is(err, io.EOF) {
			t.Errorf("read %d bytes, %v", n, err)
		}
		pieces, err := io.ReadAll(bySeven{io.NewSectionReader(f, 0, 30)})
		if err != nil || !bytes.Equal(pieces, whole[:n]) {
			t.Errorf("pieces %q, whole %q, %v", pieces, whole[:n], err)
		}
		contents = append(contents, whole[:n])
		s.Release(k)
	}
	if len(contents) != 2 || bytes.Equal(contents[0], contents[1]) {
		t.Errorf("contents %q", contents)
	}
}

// bySeven reads 7 bytes at a time.
type bySeven struct{ r io.Reader }

// Read implements io.Reader.
func (r bySeven) Read(p []byte) (int, error) { return r.r.Read(p[:min(7, len(p))]) }
