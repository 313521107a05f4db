package session

import (
	"fmt"
	"testing"

	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/repo"
	"github.com/nacre-backup/nacre/internal/store/mem"
)

// BenchmarkList reads the state of a repository with a thousand snapshots.
func BenchmarkList(b *testing.B) {
	ms := mem.New()
	r, err := repo.Init(b.Context(), repo.InitOptions{
		Store: ms, Clock: newClock(), Rand: random(1), Credential: repo.Credential{Keyfile: keyfile()},
	})
	if err != nil {
		b.Fatal(err)
	}
	s, st, err := Begin(b.Context(), r, BeginOptions{})
	for i := range 1000 { // without the listing that each would make
		if err != nil {
			b.Fatal(err)
		}
		s.state = st
		if _, err = s.commit(b.Context(), record.Commit, snap(r, fmt.Sprint(i))); err != nil {
			b.Fatal(err)
		}
		st.heads, st.sequence = []record.Head{{Session: s.ID(), Hash: s.fate.Hash}}, s.fate.Sequence
		s, err = s.put(b.Context(), 0, nil)
	}
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := List(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
}
