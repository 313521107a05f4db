package repo

import (
	"slices"
	"testing"

	"filippo.io/age"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/store/mem"
)

func TestAReplacedPasswordOpensNothingAnyMore(t *testing.T) {
	t.Parallel()
	s := mem.New()
	r := initRepo(t, s, Credential{Password: []byte("one")}, "")
	if _, err := r.AddSlot(t.Context(), Credential{Password: []byte("one")}, "the same again", cheap); err != nil {
		t.Fatal(err)
	}
	if _, err := r.AddSlot(t.Context(), withKey(7), "usb", cheap); err != nil {
		t.Fatal(err)
	}
	_, err := r.ReplacePassword(t.Context(), []byte("one"), []byte("one"), "", cheap)
	mustBe(t, "the same password", err, errs.Usage)
	_, err = r.ReplacePassword(t.Context(), []byte("zero"), []byte("two"), "", cheap)
	mustBe(t, "a password that opens nothing", err, errs.WrongKey)
	made, err := r.ReplacePassword(t.Context(), []byte("one"), []byte("two"), "", cheap)
	if err != nil || made.Kind != crypt.SlotPassword {
		t.Fatalf("slot %+v, error %v", made, err)
	}
	_, err = Open(t.Context(), OpenOptions{Store: s, Rand: random(2), Credential: Credential{Password: []byte("one")}})
	mustBe(t, "the old password", err, errs.WrongKey)
	open(t, s, withKey(7), "")
	x, _ := open(t, s, Credential{Password: []byte("two")}, "")
	slots, err := x.ListSlots(t.Context())
	if err != nil || len(slots) != 2 {
		t.Fatalf("slots %+v, error %v", slots, err)
	}
	if !slices.ContainsFunc(slots, func(s SlotInfo) bool { return s.ID == made.ID }) {
		t.Errorf("slots %+v, want the new one, %s, among them", slots, made.ID)
	}
}

func TestAnAgeSlotOpensWithAnIdentityOfAnyRecipient(t *testing.T) {
	t.Parallel()
	s := mem.New()
	r := initRepo(t, s, Credential{Password: []byte("one")}, "")
	var ids []*age.X25519Identity
	var to []age.Recipient
	for range 3 {
		i, err := age.GenerateX25519Identity()
		if err != nil {
			t.Fatal(err)
		}
		ids, to = append(ids, i), append(to, i.Recipient())
	}
	slot, err := r.AddSlot(t.Context(), Credential{Recipients: to[:2]}, "", cheap)
	if err != nil || slot.Kind != crypt.SlotAge || slot.Label != crypt.SlotAge {
		t.Fatalf("slot %+v, error %v", slot, err)
	}
	open(t, s, Credential{Identities: []age.Identity{ids[0]}}, "")
	open(t, s, Credential{Identities: []age.Identity{ids[2], ids[1]}}, "")
	_, err = Open(t.Context(), OpenOptions{Store: s, Rand: random(2), Credential: Credential{Identities: []age.Identity{ids[2]}}})
	mustBe(t, "a stranger's identity", err, errs.WrongKey)
	_, err = r.AddSlot(t.Context(), Credential{Identities: []age.Identity{ids[2]}}, "", cheap)
	mustBe(t, "a slot for an identity", err, errs.Usage)
}
