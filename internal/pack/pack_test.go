package pack

import (
	"bytes"
	"testing"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/id"
)

func TestAPackGivesBackItsBlobs(t *testing.T) {
	t.Parallel()
	var blobs [][]byte
	for i, n := range []int{0, 1, 1000, 300 << 10, 300 << 10, 5 << 20, 17, 600 << 10, 512 << 10, 512<<10 - 1, 40} {
		blobs = append(blobs, content(uint64(i), n))
	}
	blobs = append(blobs, noise(1, 700<<10), noise(2, 300))
	file, res := build(t, crypt.ClassData, TargetData, crypt.KindData, blobs...)
	if res.Name != crypt.Sum(file) || res.Size != int64(len(file)) {
		t.Fatalf("result says %s of %d bytes, the pack is %x of %d", res.Name, res.Size, crypt.Sum(file), len(file))
	}
	r, err := Open(readFrom(file), res.Size, crypt.ClassData, keyOf)
	if err != nil {
		t.Fatal(err)
	}
	d := r.Directory()
	if got := d.Encode(); !bytes.Equal(got, res.Body) {
		t.Fatal("the directory that was read differs from the one that was written")
	}
	c := newCoder(t)
	var raw []byte
	n := 0
	for i := range d.Segments {
		s := &d.Segments[i]
		if raw, err = r.Decode(raw, uint32(i), file[s.Offset:s.Offset+int64(s.Len)], c); err != nil {
			t.Fatal(err)
		}
		for slot := range s.Blobs {
			got := d.Blob(raw, uint32(i), slot)
			if !bytes.Equal(got, blobs[n]) {
				t.Fatalf("blob %d differs", n)
			}
			if id.ID(testDomain.ID(crypt.KindData, got)).Short() != d.In(uint32(i))[slot].ID {
				t.Fatalf("blob %d has another id", n)
			}
			n++
		}
	}
	if n != len(blobs) {
		t.Fatalf("%d blobs of %d", n, len(blobs))
	}
}
