package files

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/nacre-backup/nacre/internal/tree"
)

// TestPendingIsAStack compares the stack, with a limit that makes it spill, with a slice.
func TestPendingIsAStack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := &pending{limit: rapid.IntRange(1, 300).Draw(t, "limit")}
		defer func() {
			if err := p.close(); err != nil {
				t.Error(err)
			}
		}()
		var model []record
		for i := range rapid.IntRange(0, 60).Draw(t, "steps") {
			if rapid.IntRange(0, 2).Draw(t, "step") > 0 {
				r := record{dir: []byte(fmt.Sprint("dir", i)), made: i%2 == 0, dev: 1 << 63, ino: uint64(i), entry: tree.Entry{
					Name: []byte(fmt.Sprint(i)), Type: tree.Dir, Mode: uint32(i), UID: 1 << 31, GID: uint32(i), User: "u",
					Group: "g", ModTime: tree.Time{Sec: int64(i) - 30, Nsec: 999_999_999}, FSFlags: 1 << 30,
					BirthTime: tree.Time{Sec: -int64(i), Nsec: 1},
					ProjectID: uint32(i), Flags: tree.Implied,
				}}
				for x := range i % 3 {
					r.entry.Xattrs = append(r.entry.Xattrs, tree.Xattr{Name: []byte{byte('a' + x)}, Value: make([]byte, i+1)})
				}
				if err := p.push(&r); err != nil {
					t.Fatal(err)
				}
				model = append(model, r)
				continue
			}
			got, ok, err := p.pop()
			if err != nil || ok != (len(model) > 0) {
				t.Fatalf("pop: %v, %v with %d records", ok, err, len(model))
			}
			if ok {
				compare(t, got, model[len(model)-1])
				model = model[:len(model)-1]
			}
		}
		for len(model) > 0 {
			got, ok, err := p.pop()
			if !ok || err != nil {
				t.Fatalf("pop: %v, %v", ok, err)
			}
			compare(t, got, model[len(model)-1])
			model = model[:len(model)-1]
		}
	})
}

func compare(t *rapid.T, got, want record) {
	if d := cmp.Diff(want, got, cmp.AllowUnexported(record{})); d != "" {
		t.Fatal(d)
	}
}

func FuzzRecord(f *testing.F) {
	r := record{dir: []byte("d"), entry: tree.Entry{Name: []byte("n"), Xattrs: []tree.Xattr{{Name: []byte("x"), Value: []byte("y")}}}}
	f.Add(r.append(nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		var r record
		if r.decode(b) != nil {
			return
		}
		var again record
		if err := again.decode(r.append(nil)); err != nil {
			t.Fatal(err)
		}
	})
}
