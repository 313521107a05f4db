package repo

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nacre-backup/nacre/internal/clock"
	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/event"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/store"
	"github.com/nacre-backup/nacre/internal/testkit/chance"
)

func random(n byte) clock.Rand { return chance.New([32]byte{n}) }

// cheap makes password slots that cost nothing.
var cheap = crypt.Argon2{Time: 1, Memory: 64, Threads: 1}

func key(n byte) []byte { return crypt.FormatKeyfile(crypt.Key{n, 1}, id.Repository{}) }

func withKey(n byte) Credential { return Credential{Keyfile: key(n)} }

// warnings gathers what is reported.
type warnings struct {
	mu   sync.Mutex
	list []string
}

func (w *warnings) take(e event.Event) {
	if x, ok := e.(event.Warning); ok {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.list = append(w.list, x.Err.Error())
	}
}

func (w *warnings) has(part string) bool {
	return slices.ContainsFunc(w.list, func(s string) bool { return strings.Contains(s, part) })
}

func initRepo(t *testing.T, s store.Store, c Credential, dir string) *Repo {
	t.Helper()
	r, err := Init(t.Context(), InitOptions{
		Store: s, Rand: random(1), Credential: c, NoEncryption: c.empty(), Argon2: cheap, StateDir: dir, Label: "first",
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func open(t *testing.T, s store.Store, c Credential, dir string) (*Repo, *warnings) {
	t.Helper()
	w := &warnings{}
	r, err := Open(t.Context(), OpenOptions{Store: s, Rand: random(9), Credential: c, StateDir: dir, Events: w.take})
	if err != nil {
		t.Fatal(err)
	}
	return r, w
}

func mustBe(t *testing.T, what string, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("%s: error %v, want %v", what, err, kind)
	}
}
