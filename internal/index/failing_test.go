package index

import (
	"context"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/repo"
	"github.com/nacre-backup/nacre/internal/store"
)

func openRepo(s store.Store, state string) (*repo.Repo, error) {
	return repo.Open(context.Background(), repo.OpenOptions{Store: s, StateDir: state, Label: "test"})
}

func (f *failing) List(ctx context.Context, prefix string, fn func(store.Info) error) error {
	if err := f.check("list", prefix); err != nil {
		return err
	}
	return f.Store.List(ctx, prefix, fn)
}

func (f *failing) Get(ctx context.Context, name string, r store.Range, fn func(io.Reader) error) error {
	if err := f.check("get", name); err != nil {
		return err
	}
	return f.Store.Get(ctx, name, r, fn)
}

func (f *failing) Put(ctx context.Context, name string, c store.Content) error {
	if err := f.check("put", name); err != nil {
		return err
	}
	return f.Store.Put(ctx, name, c)
}

// As passes the extras of the store on.
func (f *failing) As(target any) bool {
	if a, ok := f.Store.(store.Aser); ok {
		return a.As(target)
	}
	return false
}

// reopen opens the repository through another store.
func (e *env) reopen(t testing.TB, s store.Store) *repo.Repo {
	t.Helper()
	r, err := openRepo(s, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// failing is a store of which one kind of call fails while it is on.
type failing struct {
	store.Store
	fail string // "list", "get" or "put", and a prefix of names
	on   atomic.Bool
}

func (f *failing) check(call, name string) error {
	if f.on.Load() && strings.HasPrefix(call+" "+name, f.fail) {
		return errs.New(errs.Unreachable, "%s %s: no answer", call, name)
	}
	return nil
}
