package repo

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/store/mem"
)

// Whoever keeps the store can hide the newest keyring while a client has the repository open. A change made from an
// older one would undo what the newest says, and be the newest itself.
func TestAKeyringThatGoesBackIsNotChanged(t *testing.T) {
	t.Parallel()
	s := mem.New()
	r := initRepo(t, s, withKey(1), "")
	before := s.Clone()
	if _, err := r.Writer(t.Context()); err != nil {
		t.Fatal(err)
	}
	slot := r.Ring().Slots[0].ID
	change := func(what string) {
		t.Helper()
		rings := s.Names(record.Rings)
		_, err := r.AddSlot(t.Context(), withKey(2), "", cheap)
		mustBe(t, what+": adding a slot", err, errs.Corrupt)
		mustBe(t, what+": removing a slot", r.RemoveSlot(t.Context(), slot), errs.Corrupt)
		if got := s.Names(record.Rings); !slices.Equal(got, rings) {
			t.Errorf("%s: the keyring's objects are %q, were %q", what, got, rings)
		}
	}
	for _, n := range s.Names("") {
		if strings.Contains(n, record.Rings) && before.Bytes(n) == nil {
			s.Lose(n)
		}
	}
	change("gone back")
	// Another one of the same number, made from what was shown before.
	other, _ := open(t, s, withKey(1), "")
	other.rand = random(77)
	if _, err := other.Writer(t.Context()); err != nil {
		t.Fatal(err)
	}
	change("swapped")
}

// A number at the end of its range must not begin again at its start, below everything.
func TestGenerationsDoNotWrapAround(t *testing.T) {
	t.Parallel()
	for _, number := range []string{"ffffffff", "fffffffe"} {
		s := mem.New()
		r := initRepo(t, s, withKey(1), "")
		slot := r.Ring().Slots[0].ID
		s.Set(record.Rings+number+"-"+strings.Repeat("0", 64), []byte("rubbish: not what its name says"))
		names := s.Names("")
		if number == "ffffffff" {
			_, err := r.Writer(t.Context())
			mustBe(t, "enrolment", err, errs.Corrupt)
			if !strings.Contains(errs.Hint(err), record.Rings) {
				t.Errorf("hint %q", errs.Hint(err))
			}
		}
		r.changing.Lock()
		err := r.rekey(t.Context(), func(old []*crypt.Slot, k crypt.KEK) ([]*crypt.Slot, error) {
			return r.rewrap(old, k, func(*crypt.Slot) bool { return true })
		}, slot)
		r.changing.Unlock()
		mustBe(t, "a change of the key", err, errs.Corrupt)
		if got := s.Names(""); !slices.Equal(got, names) {
			t.Errorf("%s: the objects are %q, were %q", number, got, names)
		}
		open(t, s, withKey(1), "")
	}
}

// forge changes a slot's file and makes its checksum right again, as anybody can.
func forge(t *testing.T, s *crypt.Slot, id, from, to string) (path string, file []byte) {
	t.Helper()
	b := bytes.Replace(s.Bytes(), []byte(from), []byte(to), 1)
	b = bytes.Replace(b, []byte(`"slot": "`+s.ID.String()), []byte(`"slot": "`+id), 1)
	const check = ",\n  \"check\": \""
	head := b[:bytes.LastIndex(b, []byte(check))]
	sum := crypt.Sum(head)
	b = append(append(bytes.Clone(head), check...), hex.EncodeToString(sum[:])+"\"\n}\n"...)
	if bytes.Equal(head, s.Bytes()[:len(head)]) {
		t.Fatalf("%q is not in the slot", from)
	}
	return record.Keys + id + ".json", b
}

func theSlot(t *testing.T, r *Repo) *crypt.Slot {
	t.Helper()
	files, err := r.readSlots(t.Context())
	if err != nil || len(files) == 0 {
		t.Fatalf("%d slots, %v", len(files), err)
	}
	return files[0].slot
}

// A slot may ask for a gigabyte and sixteen passes, and for more than a reader does. Neither is tried where the user's
// own slot opens first, and what is beyond the bounds is not tried at all.
func TestCostlySlotsOfAStrangerAreNotTried(t *testing.T) {
	t.Parallel()
	s := mem.New()
	c := Credential{Password: []byte("correct horse")}
	r := initRepo(t, s, c, "")
	real := theSlot(t, r)
	memory := fmt.Sprintf("\"memory\": %d", cheap.Memory)
	for i, m := range []string{"1048577", "4294967295"} {
		path, b := forge(t, real, fmt.Sprintf("%016x", i), memory, "\"memory\": "+m)
		s.Set(path, b)
	}
	if _, w := open(t, s, c, ""); len(w.list) != 0 {
		t.Errorf("warnings %q", w.list)
	}
	// Where nothing opens they are refused for their costs, not worked through.
	w := &warnings{}
	_, err := Open(t.Context(), OpenOptions{Store: s, Credential: Credential{Password: []byte("wrong")}, Events: w.take})
	mustBe(t, "a wrong password", err, errs.WrongKey)
	if len(w.list) != 2 || !w.has("out of bounds") {
		t.Errorf("warnings %q", w.list)
	}
	for _, text := range append(w.list, err.Error(), errs.Hint(err)) {
		if strings.Contains(text, "wrong\"") || strings.Contains(text, "horse") {
			t.Errorf("a password is in %q", text)
		}
	}
}

// A slot that was changed, moved to another name or taken from another repository opens nothing, and does not keep the
// others from opening.
func TestSlotsThatWereSwappedOpenNothing(t *testing.T) {
	t.Parallel()
	s := mem.New()
	r := initRepo(t, s, withKey(1), "")
	real := theSlot(t, r)
	whole := s.Clone()
	stranger := theSlot(t, initRepoWith(t, mem.New(), withKey(1), 5))
	for what, set := range map[string]func(){
		"a changed label": func() {
			path, b := forge(t, real, real.ID.String(), `"label": "keyfile"`, `"label": "keyfilE"`)
			s.Set(path, b)
		},
		"another name": func() { s.Set(record.Keys+"00000000000000aa.json", real.Bytes()) },
		"a copy under another name": func() {
			s.Set(forge(t, real, "00000000000000ab", `"label": "keyfile"`, `"label": "keyfilE"`))
		},
		"of another repository": func() { s.Set(stranger.Path(), stranger.Bytes()) },
		"cut short":             func() { s.Corrupt(real.Path(), func(b []byte) []byte { return b[:len(b)-9] }) },
	} {
		set()
		x, w := open(t, s, withKey(1), "")
		if len(w.list) == 0 {
			t.Errorf("%s: no warning", what)
		}
		if got, err := x.ringSlots(t.Context()); err != nil || len(got) != 1 || got[0].Hash() != real.Hash() {
			t.Errorf("%s: the keyring's slots are %v, %v", what, got, err)
		}
		infos, err := x.ListSlots(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range infos {
			if i.ID != real.ID && !i.Unlisted {
				t.Errorf("%s: slot %s counts as the keyring's", what, i.ID)
			}
		}
		for _, n := range s.Names("") {
			if b := whole.Bytes(n); b == nil {
				s.Lose(n)
			} else {
				s.Set(n, b)
			}
		}
	}
}

func initRepoWith(t *testing.T, s *mem.Store, c Credential, seed byte) *Repo {
	t.Helper()
	r, err := Init(t.Context(), InitOptions{Store: s, Rand: random(seed), Credential: c, Argon2: cheap})
	if err != nil {
		t.Fatal(err)
	}
	return r
}
