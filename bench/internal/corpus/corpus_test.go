package corpus

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// state says of each path below dir what it is: bytes, and the time where it is not that of the test.
func state(t *testing.T, dir string, times bool) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		all[rel] = fmt.Sprintf("%d bytes, %x", len(b), sha256.Sum256(b))
		if times {
			all[rel] += fmt.Sprint(", ", st.ModTime().UnixNano())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestCorpusIsTheSameEachTimeAndComesBackFromDayTwo(t *testing.T) {
	t.Parallel()
	for _, name := range Names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := Corpus{Root: t.TempDir(), Name: name, Scale: 0.0001}
			b := Corpus{Root: t.TempDir(), Name: name, Scale: 0.0001}
			for _, c := range []Corpus{a, b} {
				if err := c.Make(); err != nil {
					t.Fatal(err)
				}
			}
			day1 := state(t, a.Dir(), true)
			if diff := cmp.Diff(day1, state(t, b.Dir(), true)); diff != "" {
				t.Fatalf("the second making differs:\n%s", diff)
			}
			for _, c := range []Corpus{a, b} {
				if err := c.Mutate(); err != nil {
					t.Fatal(err)
				}
			}
			day2 := state(t, a.Dir(), false)
			if diff := cmp.Diff(day2, state(t, b.Dir(), false)); diff != "" {
				t.Errorf("the second day differs:\n%s", diff)
			}
			if cmp.Equal(day2, state(t, filepath.Join(a.Root, name+".undo"), false)) || cmp.Equal(day1, state(t, a.Dir(), true)) {
				t.Error("the second day is the first")
			}
			if err := a.Undo(); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(day1, state(t, a.Dir(), true)); diff != "" {
				t.Errorf("day 1 did not come back:\n%s", diff)
			}
		})
	}
}

func TestUndoTakesBackAMutationThatWasInterrupted(t *testing.T) {
	t.Parallel()
	c := Corpus{Root: t.TempDir(), Name: "BIG", Scale: 0.0001}
	if err := c.Make(); err != nil {
		t.Fatal(err)
	}
	day1 := state(t, c.Dir(), true)
	j, err := newJournal(c)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(c.Dir(), bigName)
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []op{
		{Kind: touched, Path: path, Time: st.ModTime()},
		{Kind: widened, Path: path, At: st.Size()}, // and then the power went
	} {
		if err := j.note(o); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Undo(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(day1, state(t, c.Dir(), true)); diff != "" {
		t.Errorf("day 1 did not come back:\n%s", diff)
	}
}

func TestShiftMovesBytesBothWays(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "f")
	want := make([]byte, 5<<20)
	r := seeded(9)
	for i := range want {
		want[i] = byte(r.Uint32())
	}
	if err := os.WriteFile(path, want, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := shift(f, 4096, 4096+300<<10); err != nil {
		t.Fatal(err)
	}
	if err := shift(f, 4096+300<<10, 4096); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if sha256.Sum256(got) != sha256.Sum256(want) {
		t.Error("other bytes came back")
	}
}
