// Package vaulttest is about a repository in memory, for the tests of the rooms above it.
package vaulttest

import (
	"context"
	"testing"
	"time"

	"github.com/nacre-backup/nacre/internal/clock"
	"github.com/nacre-backup/nacre/internal/event"
	"github.com/nacre-backup/nacre/internal/repo"
	"github.com/nacre-backup/nacre/internal/store"
	"github.com/nacre-backup/nacre/internal/store/mem"
)

// Clock stands still in a zone of its own, and does not wait.
type Clock struct{}

// Now implements clock.Clock.
func (Clock) Now() time.Time {
	return time.Date(2026, 11, 28, 12, 0, 0, 0, time.FixedZone("test", 2*3600))
}

// Sleep implements clock.Clock.
func (Clock) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// New makes a repository without encryption in a new store.
func New(t testing.TB, c clock.Clock) (*mem.Store, *repo.Repo) {
	t.Helper()
	s := mem.New()
	r, err := repo.Init(context.Background(), repo.InitOptions{Store: s, NoEncryption: true, Clock: c, StateDir: t.TempDir(), Label: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return s, r
}

// Open opens such a repository in a store, as a client without a memory.
func Open(t testing.TB, s store.Store, c clock.Clock, events event.Func) *repo.Repo {
	t.Helper()
	r, err := repo.Open(context.Background(), repo.OpenOptions{Store: s, Clock: c, StateDir: t.TempDir(), Label: "test", Events: events})
	if err != nil {
		t.Fatal(err)
	}
	return r
}
