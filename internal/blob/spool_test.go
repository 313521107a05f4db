package blob

import (
	"bytes"
	"io"
	"testing"
	"testing/iotest"
)

func TestASpoolGivesBackWhatWasWritten(t *testing.T) {
	t.Parallel()
	var s spool
	var want []byte
	for n, size := range []int{0, 1, 3*spoolChunk + 5, spoolChunk - 6, 1, 70_000} {
		b := bytes.Repeat([]byte{byte(n + 1)}, size)
		if k, err := s.Write(b); k != size || err != nil {
			t.Fatal(k, err)
		}
		want = append(want, b...)
	}
	if s.Size() != int64(len(want)) {
		t.Fatalf("size %d, want %d", s.Size(), len(want))
	}
	for range 2 {
		r, err := s.Open()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(iotest.HalfReader(r))
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	}
}
