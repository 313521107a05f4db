package session

import (
	"context"
	"fmt"
	"time"

	"github.com/nacre-backup/nacre/internal/clock"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/repo"
	"github.com/nacre-backup/nacre/internal/store"
)

// Ops is all that the protocols of this package do to the world. Each call is one step: between two calls anything
// may happen, and after any of them the process may be gone. A simulator implements Ops to decide what happens
// between the steps; the errors are those of package store.
type Ops interface {
	Put(ctx context.Context, path string, b []byte) error
	Create(ctx context.Context, path string, b []byte) error // if absent: errs.Exists otherwise
	Get(ctx context.Context, path string) ([]byte, error)
	List(ctx context.Context, prefix string) ([]store.Info, error)
	Stat(ctx context.Context, path string) (store.Info, error)
	Delete(ctx context.Context, path string) error
	Flush(ctx context.Context) error
	Sleep(ctx context.Context, d time.Duration) error
}

// maxObject is the format's limit for a control object.
const maxObject = 64 << 20

// storeOps does the steps on a store.
type storeOps struct {
	store store.Store
	clock clock.Clock
}

func opsOf(r *repo.Repo) Ops { return &storeOps{store: r.Store(), clock: r.Clock()} }

func (o *storeOps) Put(ctx context.Context, path string, b []byte) error {
	if err := o.store.Put(ctx, path, store.Bytes(b)); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func (o *storeOps) Create(ctx context.Context, path string, b []byte) error {
	var c store.PutIfAbsenter
	if !store.As(o.store, &c) {
		return fmt.Errorf("create %s: %w", path, errNoCreate())
	}
	if err := c.PutIfAbsent(ctx, path, store.Bytes(b)); err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	return nil
}

// errNoCreate is the error of a repository that was made on a store with create-if-absent and is reached by one
// without. Commits would not be safe against those of clients that reach it the other way.
func errNoCreate() error {
	return errs.WithHint(errs.New(errs.Unsupported, "the store cannot create objects that are absent, though it could when the repository was made"),
		"reach the repository the way it was made, or make a new one here")
}

func (o *storeOps) Get(ctx context.Context, path string) ([]byte, error) {
	b, err := store.ReadAll(ctx, o.store, path, maxObject)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return b, nil
}

func (o *storeOps) List(ctx context.Context, prefix string) ([]store.Info, error) {
	var all []store.Info
	err := o.store.List(ctx, prefix, func(i store.Info) error {
		all = append(all, i)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", prefix, err)
	}
	return all, nil
}

func (o *storeOps) Stat(ctx context.Context, path string) (store.Info, error) {
	i, err := o.store.Stat(ctx, path)
	if err != nil {
		return i, fmt.Errorf("look for %s: %w", path, err)
	}
	return i, nil
}

func (o *storeOps) Delete(ctx context.Context, path string) error {
	if err := o.store.Delete(ctx, path); err != nil {
		return fmt.Errorf("delete %s: %w", path, err)
	}
	return nil
}

func (o *storeOps) Flush(ctx context.Context) error {
	if err := o.store.Flush(ctx); err != nil {
		return fmt.Errorf("flush the store: %w", err)
	}
	return nil
}

func (o *storeOps) Sleep(ctx context.Context, d time.Duration) error { return o.clock.Sleep(ctx, d) }
