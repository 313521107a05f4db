package session

import (
	"errors"
	"slices"
	"testing"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/repo"
	"github.com/nacre-backup/nacre/internal/store/fault"
	"github.com/nacre-backup/nacre/internal/store/mem"
)

func openEra(t *testing.T, r *repo.Repo, era uint32) {
	t.Helper()
	path := record.EraPath(era)
	place(t, r, crypt.ClassEra, path, func(w id.Writer) ([]byte, error) {
		return (&record.Era{Path: path, Writer: w, Number: era}).Encode()
	})
}

func TestASessionBeginsInTheHighestEra(t *testing.T) {
	t.Parallel()
	ms := mem.New()
	r := newRepo(t, ms)
	ms.Set(record.EraPath(1), []byte("damaged, and of no matter: the next one is open"))
	openEra(t, r, 2)
	ms.Set("era/3", []byte("no name of an era"))
	s, st := begin(t, r)
	if st.Era() != 2 || ms.Bytes(record.SessionPath(2, s.ID())) == nil || len(st.OpenSessions()) != 1 {
		t.Errorf("era %d, open sessions %+v", st.Era(), st.OpenSessions())
	}
	commit(t, s, "one")
	if got := names(listed(t, r).Snapshots()); !slices.Equal(got, []string{"one"}) || ms.Bytes(record.FatePath(2, s.ID())) == nil {
		t.Errorf("snapshots %q", got)
	}
}

func TestAnEraThatOpensMeanwhileMovesTheSession(t *testing.T) {
	t.Parallel()
	ms := mem.New()
	r := newRepo(t, ms)
	fs := fault.New(ms)
	w := machine(t, fs, 7)
	if _, err := w.Writer(t.Context()); err != nil {
		t.Fatal(err)
	}
	openOn(t, fs, record.Sessions, func() { openEra(t, r, 4) })
	s, st := begin(t, w)
	if st.Era() != 4 || ms.Bytes(record.SessionPath(4, s.ID())) == nil {
		t.Errorf("era %d", st.Era())
	}
}

// openOn has do called once, before the first object below the prefix is put.
func openOn(t *testing.T, fs *fault.Store, prefix string, do func()) {
	t.Helper()
	done := false
	fs.SetHook(func(op fault.Op, name string) error {
		if op == fault.Put && !done && len(name) > len(prefix) && name[:len(prefix)] == prefix {
			done = true
			do()
		}
		return nil
	})
}

// An era that nobody opened must not move writers, and one whose opening is damaged must not be passed over.
func TestWhileAnErasOpeningDoesNotVerifyNothingIsWritten(t *testing.T) {
	t.Parallel()
	ms := mem.New()
	r := newRepo(t, ms)
	s, _ := begin(t, r)
	commit(t, s, "one")
	openEra(t, r, 2)
	real := ms.Bytes(record.EraPath(2))
	for what, b := range map[string][]byte{"rubbish": []byte("x"), "the opening of another era": real, "a damaged one": real[:len(real)-1]} {
		path := "era/ffffffff"
		ms.Set(path, b)
		before := len(ms.Names(""))
		for _, seen := range []*State{nil, listed(t, r)} {
			_, _, err := Begin(t.Context(), r, BeginOptions{Program: "test", Seen: seen})
			if !errors.Is(err, errs.Corrupt) || errs.Hint(err) == "" {
				t.Errorf("%s: %v", what, err)
			}
		}
		if after := len(ms.Names("")); after != before {
			t.Errorf("%s: %d objects were written", what, after-before)
		}
		st := listed(t, r)
		if got := names(st.Snapshots()); st.Era() != 2 || !slices.Equal(got, []string{"one"}) {
			t.Errorf("%s: a reader sees era %d, snapshots %q", what, st.Era(), got)
		}
		if u := st.Unknowns(); len(u) != 1 || u[0].Path != path {
			t.Errorf("%s: unknown %+v", what, u)
		}
		ms.Lose(path)
	}
	if s, _, err := Begin(t.Context(), r, BeginOptions{Program: "test", Seen: listed(t, r)}); err != nil || s.rec.Era != 2 {
		t.Errorf("with a listing: era %d, %v", s.rec.Era, err)
	}
	if s, _ := begin(t, r); s.rec.Era != 2 {
		t.Errorf("then a session begins in era %d", s.rec.Era)
	}
}

func TestRubbishThatComesMeanwhileEndsTheSession(t *testing.T) {
	t.Parallel()
	ms := mem.New()
	newRepo(t, ms)
	fs := fault.New(ms)
	w := machine(t, fs, 7)
	if _, err := w.Writer(t.Context()); err != nil {
		t.Fatal(err)
	}
	openOn(t, fs, record.Sessions, func() { ms.Set("era/ffffffff", []byte("x")) })
	if _, _, err := Begin(t.Context(), w, BeginOptions{Program: "test"}); !errors.Is(err, errs.Corrupt) {
		t.Fatalf("begin = %v", err)
	}
	if open := listed(t, w).OpenSessions(); len(open) != 0 {
		t.Errorf("open sessions %+v", open)
	}
	ms.Lose("era/ffffffff")
	s, _ := begin(t, w)
	putPack(t, s, crypt.ClassData, "a")
	ms.Set("era/ffffffff", []byte("x"))
	if _, _, _, err := s.Checkpoint(t.Context(), snap(w, "c")); !errors.Is(err, errs.Corrupt) {
		t.Errorf("checkpoint = %v", err)
	}
	// The session was in sight before the era was: whoever opened that waits for its fate.
	commit(t, s, "one")
}

func TestWhoMayOpenAnEra(t *testing.T) {
	t.Parallel()
	e := record.Era{Path: record.EraPath(3), Number: 3}
	outer, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	by := func(row crypt.RingWriter, number uint32) error {
		return checkEra(object{path: e.Path, control: &repo.Control{Outer: outer, Ring: row}}, number)
	}
	if err := by(crypt.RingWriter{Rights: crypt.RightPrune}, 3); err != nil {
		t.Errorf("a pruner: %v", err)
	}
	if err := by(crypt.RingWriter{Rights: crypt.RightPrune, Revoked: true}, 3); err != nil {
		t.Errorf("a pruner that was revoked since: %v", err)
	}
	if err := by(crypt.RingWriter{Rights: crypt.RightWrite | crypt.RightPut}, 3); !errors.Is(err, errs.Corrupt) {
		t.Errorf("who may not prune: %v", err)
	}
	if err := by(crypt.RingWriter{Rights: crypt.RightPrune}, 4); !errors.Is(err, errs.Corrupt) {
		t.Errorf("at another place: %v", err)
	}
}

// What is named and missing is looked for in a bounded number of eras, however high the open one is.
func TestAMissingFateIsMissedHoweverHighTheEra(t *testing.T) {
	t.Parallel()
	ms := mem.New()
	r := newRepo(t, ms)
	openEra(t, r, 0xffff_ffff)
	one, _ := begin(t, r)
	commit(t, one, "one")
	two, _ := begin(t, r)
	commit(t, two, "two")
	ms.Lose(record.FatePath(0xffff_ffff, one.ID()))
	ms.Lose(record.DupPath(record.FatePath(0xffff_ffff, one.ID())))
	if got := listed(t, r).Alarms(); len(got) == 0 || got[0].Session != one.ID() {
		t.Errorf("alarms %+v", got)
	}
}
