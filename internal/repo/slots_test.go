package repo

import (
	"slices"
	"strings"
	"testing"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/store/fault"
	"github.com/nacre-backup/nacre/internal/store/mem"
)

func TestASlotIsAddedAndTakenAway(t *testing.T) {
	t.Parallel()
	s := mem.New()
	dir := t.TempDir()
	r := initRepo(t, s, Credential{Password: []byte("one")}, dir)
	w, err := r.Writer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	two, err := r.AddSlot(t.Context(), Credential{Password: []byte("two")}, "second", cheap)
	if err != nil || two.Label != "second" || two.Kind != crypt.SlotPassword {
		t.Fatalf("slot %+v, error %v", two, err)
	}
	words, err := r.AddRecoveryWords(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	old := s.Clone()
	for _, c := range []Credential{{Password: []byte("one")}, {Password: []byte("two")}, {Words: strings.Join(words, " ")}} {
		open(t, s, c, "")
	}
	_, key, err := r.NewHeader(crypt.ClassData)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.RemoveSlot(t.Context(), two.ID); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), OpenOptions{Store: s, Rand: random(2), Credential: Credential{Password: []byte("two")}})
	mustBe(t, "the slot that was taken away", err, errs.WrongKey)
	for _, c := range []Credential{{Password: []byte("one")}, {Words: strings.Join(words, " ")}} {
		x, warned := open(t, s, c, "")
		slots, err := x.ListSlots(t.Context())
		if err != nil || len(slots) != 2 || len(warned.list) != 0 || x.Rights(w.Writer()) == 0 {
			t.Errorf("slots %+v, error %v, warnings %q", slots, err, warned.list)
		}
		h, k, err := x.NewHeader(crypt.ClassData)
		if err != nil || k == key || h.Epoch != 2 {
			t.Errorf("the sealing keys are not new: epoch %d, error %v", h.Epoch, err)
		}
	}
	// What was there before the change does not come back: this machine remembers.
	_, err = Open(t.Context(), OpenOptions{Store: old, Rand: random(2), Credential: Credential{Password: []byte("one")}, StateDir: dir})
	mustBe(t, "the keyring from before", err, errs.Corrupt)
	mustBe(t, "a slot that is not there", r.RemoveSlot(t.Context(), two.ID), errs.NotFound)
	slots, err := r.ListSlots(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.RemoveSlot(t.Context(), slots[0].ID); err != nil {
		t.Fatal(err)
	}
	last, err := r.ListSlots(t.Context())
	if err != nil || len(last) != 1 {
		t.Fatalf("slots %+v, error %v", last, err)
	}
	mustBe(t, "the last slot", r.RemoveSlot(t.Context(), last[0].ID), errs.Usage)
	_, err = r.AddSlot(t.Context(), Credential{}, "", cheap)
	mustBe(t, "an open slot beside others", err, errs.Usage)
}

func TestAnOpenRepositoryIsClosedByAKey(t *testing.T) {
	t.Parallel()
	s := mem.New()
	r := initRepo(t, s, Credential{}, "")
	if _, err := r.Writer(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.AddSlot(t.Context(), Credential{Password: []byte("p")}, "", cheap); err != nil {
		t.Fatal(err)
	}
	if r.Unencrypted() {
		t.Error("it still says that it is open")
	}
	_, err := Open(t.Context(), OpenOptions{Store: s, Rand: random(2)})
	mustBe(t, "without a password", err, errs.WrongKey)
	x, w := open(t, s, Credential{Password: []byte("p")}, "")
	if x.Unencrypted() || len(w.list) != 0 || len(x.Ring().Writers) != 1 {
		t.Errorf("unencrypted %v, warnings %q", x.Unencrypted(), w.list)
	}
	if got := len(s.Names("keys/")); got != 1 {
		t.Errorf("%d slots are left", got)
	}
	if got := len(s.Names("ring/")); got != 1 {
		t.Errorf("%d generations are left", got)
	}
}

func TestAChangeOfTheKeySurvivesEveryFailure(t *testing.T) {
	t.Parallel()
	clean := mem.New()
	r := initRepo(t, clean, withKey(1), "")
	if _, err := r.Writer(t.Context()); err != nil {
		t.Fatal(err)
	}
	two, err := r.AddSlot(t.Context(), withKey(2), "", cheap)
	if err != nil {
		t.Fatal(err)
	}
	for _, when := range []fault.When{fault.Before, fault.After} {
		for _, lasting := range []bool{false, true} {
			for n := 1; ; n++ {
				if lasting && n%3 != 0 {
					continue
				}
				inner := clean.Clone()
				f := fault.New(inner, fault.Rule{N: n, When: when, Lasting: lasting})
				x, _ := open(t, inner, withKey(1), "")
				x.store, x.rand = f, random(40)
				err := x.RemoveSlot(t.Context(), two.ID)
				if f.Fired() == 0 {
					if err != nil {
						t.Fatal(err)
					}
					break
				}
				// The slot that stays opens the repository, and the change can be made again.
				y, _ := open(t, inner, withKey(1), "")
				y.rand = random(41)
				slots, err := y.ListSlots(t.Context())
				if err != nil || len(y.Ring().Writers) != 1 {
					t.Fatalf("call %d: slots %+v, error %v, %d writers", n, slots, err, len(y.Ring().Writers))
				}
				if slices.ContainsFunc(slots, func(i SlotInfo) bool { return i.ID == two.ID }) {
					if err := y.RemoveSlot(t.Context(), two.ID); err != nil {
						t.Fatalf("call %d: again: %v", n, err)
					}
				}
				open(t, inner, withKey(1), "")
			}
		}
	}
}

func TestAddingASlotSurvivesEveryFailure(t *testing.T) {
	t.Parallel()
	clean := mem.New()
	initRepo(t, clean, withKey(1), "")
	for n := 1; ; n++ {
		inner := clean.Clone()
		f := fault.New(inner, fault.Rule{N: n})
		x, _ := open(t, inner, withKey(1), "")
		x.store, x.rand = f, random(40)
		_, err := x.AddSlot(t.Context(), withKey(2), "", cheap)
		if f.Fired() == 0 {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		if err == nil {
			open(t, inner, withKey(2), "")
		}
		open(t, inner, withKey(1), "")
	}
}

func TestTheKeyringIsNotChangedUnderAKeyThatWasTakenAway(t *testing.T) {
	t.Parallel()
	s := mem.New()
	r := initRepo(t, s, withKey(1), "")
	two, err := r.AddSlot(t.Context(), withKey(2), "", cheap)
	if err != nil {
		t.Fatal(err)
	}
	old := s.Clone()
	removed, _ := open(t, s, withKey(2), "")
	removed.rand = random(60)
	if err := r.RemoveSlot(t.Context(), two.ID); err != nil {
		t.Fatal(err)
	}
	// A crash before the old slots were deleted.
	for _, n := range old.Names("") {
		if s.Bytes(n) == nil {
			s.Set(n, old.Bytes(n))
		}
	}
	_, err = removed.Writer(t.Context())
	mustBe(t, "enrolment under the old key", err, errs.Denied)
	x, w := open(t, s, withKey(2), "")
	if !w.has("taken away") || x.Ring().KEK != 1 {
		t.Errorf("warnings %q, key %d", w.list, x.Ring().KEK)
	}
	if y, w := open(t, s, withKey(1), ""); y.Ring().KEK != 2 || w.has("taken away") {
		t.Errorf("the key that stays opens the old keyring: %d, %q", y.Ring().KEK, w.list)
	}
}

func TestAWriterEnrolledWhileTheKeyChangesIsNotLost(t *testing.T) {
	t.Parallel()
	inner := mem.New()
	r := initRepo(t, inner, withKey(1), "")
	two, err := r.AddSlot(t.Context(), withKey(2), "", cheap)
	if err != nil {
		t.Fatal(err)
	}
	f := fault.New(inner)
	r.store = f
	var late id.Writer
	f.SetHook(func(op fault.Op, name string) error {
		if op == fault.Put && strings.HasPrefix(name, "ring/") && late == (id.Writer{}) {
			m, _ := open(t, inner, withKey(2), "")
			m.rand = random(61)
			w, err := m.Writer(t.Context())
			if err != nil {
				return err
			}
			late = w.Writer()
		}
		return nil
	})
	if err := r.RemoveSlot(t.Context(), two.ID); err != nil {
		t.Fatal(err)
	}
	if x, _ := open(t, inner, withKey(1), ""); x.Rights(late) == 0 {
		t.Error("the enrolment under the old key is lost")
	}
}

func TestAKeyIsNotChangedWhileASlotCannotBeRead(t *testing.T) {
	t.Parallel()
	s := mem.New()
	r := initRepo(t, s, withKey(1), "")
	two, err := r.AddSlot(t.Context(), withKey(2), "", cheap)
	if err != nil {
		t.Fatal(err)
	}
	path := "keys/" + two.ID.String() + ".json"
	s.Lose(path)
	s.Lose("dup/" + path)
	slots, err := r.ListSlots(t.Context())
	if err != nil || len(slots) != 1 {
		t.Fatalf("slots %+v, error %v", slots, err)
	}
	mustBe(t, "removal", r.RemoveSlot(t.Context(), slots[0].ID), errs.Corrupt)
}

func TestTwoChangesOfTheKeyAtOnceLockNobodyOut(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"keys/", "ring/"} {
		inner := mem.New()
		r := initRepo(t, inner, withKey(1), "")
		two, err := r.AddSlot(t.Context(), withKey(2), "", cheap)
		if err != nil {
			t.Fatal(err)
		}
		three, err := r.AddSlot(t.Context(), withKey(3), "", cheap)
		if err != nil {
			t.Fatal(err)
		}
		f := fault.New(inner)
		r.store = f
		done := false
		f.SetHook(func(op fault.Op, name string) error {
			if op != fault.Put || !strings.HasPrefix(name, at) || done {
				return nil
			}
			done = true
			m, _ := open(t, inner, withKey(1), "")
			m.rand = random(80)
			return m.RemoveSlot(t.Context(), three.ID)
		})
		err = r.RemoveSlot(t.Context(), two.ID)
		mustBe(t, "the change that looks last", err, errs.Temporary)
		x, w := open(t, inner, withKey(1), "")
		slots, err := x.ListSlots(t.Context())
		if err != nil || len(slots) != 2 || len(w.list) != 0 {
			t.Errorf("at %s: slots %+v, error %v, warnings %q", at, slots, err, w.list)
		}
		open(t, inner, withKey(2), "")
		_, err = Open(t.Context(), OpenOptions{Store: inner, Rand: random(2), Credential: withKey(3)})
		mustBe(t, "the slot that was taken away", err, errs.WrongKey)
	}
}

func TestASlotWhoseAdditionWasCutOffIsSeenAndTakenAway(t *testing.T) {
	t.Parallel()
	inner := mem.New()
	initRepo(t, inner, withKey(1), "")
	x, _ := open(t, inner, withKey(1), "")
	x.store, x.rand = fault.New(inner, fault.Rule{Op: fault.Put, Prefix: "ring/", Lasting: true}), random(40)
	if _, err := x.AddSlot(t.Context(), withKey(2), "", cheap); err == nil {
		t.Fatal("no failure")
	}
	y, _ := open(t, inner, withKey(2), "") // it opens
	y.rand = random(41)
	slots, err := y.ListSlots(t.Context())
	if err != nil || len(slots) != 2 || slots[0].Unlisted == slots[1].Unlisted {
		t.Fatalf("slots %+v, error %v", slots, err)
	}
	for _, s := range slots {
		if s.Unlisted {
			if err := y.RemoveSlot(t.Context(), s.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	_, err = Open(t.Context(), OpenOptions{Store: inner, Rand: random(2), Credential: withKey(2)})
	mustBe(t, "the slot that was taken away", err, errs.WrongKey)
	open(t, inner, withKey(1), "")
}
