package crypt

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/nacre-backup/nacre/internal/id"
)

func TestSmoke(t *testing.T) {
	r := rand.NewChaCha8([32]byte{1})
	repo := id.Repository{1, 2, 3}
	g, k, err := NewRing(r, repo, SuiteAES, 5)
	if err != nil {
		t.Fatal(err)
	}
	obj, err := SealRing(r, g, k)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenRing(obj, repo, 1, k.Key); err != nil {
		t.Fatal(err)
	}
	s, err := NewPasswordSlot(r, SlotSpec{Repository: repo, Created: time.Unix(1, 0)}, []byte("x"), Argon2{1, 64, 1}, k)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(string(s.Bytes()))
	k2, err := s.Open(Unlock{Password: []byte("x")})
	if err != nil || k2 != k {
		t.Fatal(err)
	}
	if b, err := ParseBootstrap(NewBootstrap(repo, time.Unix(1, 0))); err != nil || b.Repository != repo {
		t.Fatal(err)
	}
	if k, err := ParseKeyfile(FormatKeyfile(k2.Key, repo)); err != nil || k != k2.Key {
		t.Fatal(err)
	}
	d := NewDomain(g.Domains[0].ID, g.Domains[0].Root)
	for _, n := range []int{0, 1, 1 << 10, 128 << 10, 128<<10 + 1, 256 << 10, 1<<20 + 77, 5 << 20} {
		p := bytes.Repeat([]byte{7}, n)
		big := wideSum(&d.ids[1].words, p)
		_ = big
		if n > 16<<10 && big != d.ids[1].sum([]byte{7}, p[:n-1]) {
			t.Fatal(n)
		}
	}
}
