package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/nacre-backup/nacre/internal/clock"
	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/event"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/store"
)

// InitOptions says what Init makes.
type InitOptions struct {
	Store store.Store
	Clock clock.Clock // nil: the system's
	Rand  clock.Rand  // nil: the system's
	// Credential opens the first slot. NoEncryption makes an open slot instead; both at once are refused.
	Credential   Credential
	NoEncryption bool
	Suite        crypt.Suite  // 0: crypt.SuiteAES
	Argon2       crypt.Argon2 // cost of a password slot; the zero value is the default, tests take less
	SlotLabel    string       // on view in the store; empty: the kind of slot
	StateDir     string       // as in OpenOptions
	StateRoot    string
	Label        string // of this machine's writer, for instance its host name
	Events       event.Func
}

// Init makes a repository in a place that holds none and opens it. A place that holds other objects is refused with
// errs.Exists. What a crashed Init left behind is cleared away first.
func Init(ctx context.Context, o InitOptions) (*Repo, error) {
	if o.Credential.empty() != o.NoEncryption {
		return nil, errs.New(errs.Usage, "a new repository needs a password, a keyfile, or the decision to do without encryption, and one of them only")
	}
	r := &Repo{store: o.Store, events: o.Events, label: o.Label}
	r.clock, r.rand = defaults(o.Clock, o.Rand)
	if err := r.clearPlace(ctx); err != nil {
		return nil, err
	}
	class, err := r.probe(ctx)
	if err != nil {
		return nil, fmt.Errorf("find out what the store can do: %w", err)
	}
	if err := r.make(ctx, &o, class); err != nil {
		return nil, err
	}
	if err := r.remember(); err != nil {
		r.warn("remember the keyring: %w", err)
	}
	return r, nil
}

// clearPlace makes sure that the place is empty, but for what an Init left that did not come to its end: key slots,
// ring objects, their copies and probes, and neither nacre.json nor its copy nor anything that a session writes.
func (r *Repo) clearPlace(ctx context.Context) error {
	for _, name := range []string{bootPath, record.DupPath(bootPath)} {
		if _, err := r.store.Stat(ctx, name); err == nil {
			return errs.WithHint(errs.New(errs.Exists, "a repository is here already"), "use it as it is, or choose another place")
		}
	}
	var left []string
	err := r.store.List(ctx, "", func(i store.Info) error {
		switch {
		case i.Name == bootPath || i.Name == record.DupPath(bootPath):
			return errs.WithHint(errs.New(errs.Exists, "a repository is here already"), "use it as it is, or choose another place")
		case !unfinished(i.Name) || len(left) > 100:
			return errs.WithHint(errs.New(errs.Exists, "the place is not empty: it holds %s", i.Name),
				"choose an empty or a new folder")
		}
		left = append(left, i.Name)
		return nil
	})
	if err != nil {
		return fmt.Errorf("look at the place of the new repository: %w", err)
	}
	for _, name := range left {
		if err := r.store.Delete(ctx, name); err != nil {
			return fmt.Errorf("clear away %s, left by an init that was cut off: %w", name, err)
		}
	}
	return nil
}

func unfinished(name string) bool {
	name = strings.TrimPrefix(name, record.Duplicates)
	return strings.HasPrefix(name, record.Keys) || strings.HasPrefix(name, record.Rings) || strings.HasPrefix(name, probes)
}

// make writes the objects of a new repository. The order is the crash story: without nacre.json and its copy the
// place is no repository, with either of them it is a whole one.
func (r *Repo) make(ctx context.Context, o *InitOptions, class crypt.StoreClass) error {
	suite := o.Suite
	if suite == 0 {
		suite = crypt.SuiteAES
	}
	var rid id.Repository
	if _, err := io.ReadFull(r.rand, rid[:]); err != nil {
		return fmt.Errorf("draw the repository's id: %w", err)
	}
	now := r.clock.Now()
	boot := crypt.NewBootstrap(rid, now)
	parsed, err := crypt.ParseBootstrap(boot)
	if err != nil {
		return fmt.Errorf("read back %s before it is written: %w", bootPath, err)
	}
	r.boot, r.state = parsed, newState(stateDir(o.StateDir, o.StateRoot, rid))
	ring, kek, err := crypt.NewRing(r.rand, rid, suite, now.UnixNano())
	if err != nil {
		return err
	}
	slot, err := r.newSlot(&o.Credential, o.SlotLabel, o.Argon2, kek)
	if err != nil {
		return err
	}
	ring.Store, ring.Bootstrap = class, crypt.Sum(boot)
	ring.Slots = []crypt.RingSlot{{ID: slot.ID, Hash: slot.Hash()}}
	object, err := crypt.SealRing(r.rand, ring, kek)
	if err != nil {
		return err
	}
	n := ringName{gen: ring.Generation, name: id.Name(crypt.Sum(object))}
	for _, w := range []struct {
		path string
		b    []byte
	}{
		{n.path(), object},
		{slot.Path(), slot.Bytes()},
		{record.DupPath(n.path()), object},
		{record.DupPath(slot.Path()), slot.Bytes()},
	} {
		if err := r.put(ctx, w.path, w.b); err != nil {
			return err
		}
	}
	if err := r.flush(ctx); err != nil {
		return err
	}
	if err := r.putBoot(ctx, boot, class); err != nil {
		return err
	}
	r.openSlot = slot.Kind == crypt.SlotOpen
	r.adopt(&joined{ring: ring, names: []id.Name{n.name}}, kek)
	return nil
}

// putBoot writes the copy of nacre.json and then nacre.json itself. Of two Inits in one place the one that creates
// the copy goes on; the other finds the place taken.
func (r *Repo) putBoot(ctx context.Context, boot []byte, class crypt.StoreClass) error {
	if err := r.createBoot(ctx, record.DupPath(bootPath), boot, class); err != nil {
		if errors.Is(err, errs.Exists) {
			return errs.WithHint(fmt.Errorf("another init made a repository here at the same time: %w", err), "use that one")
		}
		return err
	}
	if err := r.flush(ctx); err != nil {
		return err
	}
	if err := r.put(ctx, bootPath, boot); err != nil {
		return err
	}
	return r.flush(ctx)
}

// createBoot creates an object. A lost answer is settled by reading the object back.
func (r *Repo) createBoot(ctx context.Context, path string, b []byte, class crypt.StoreClass) error {
	var create store.PutIfAbsenter
	var err error
	if class == crypt.StoreAtomic && store.As(r.store, &create) {
		err = create.PutIfAbsent(ctx, path, store.Bytes(b))
	} else {
		err = r.store.Put(ctx, path, store.Bytes(b))
	}
	if err == nil {
		return nil
	}
	if got, gerr := r.get(ctx, path, maxJSON); gerr == nil && string(got) == string(b) {
		return nil
	}
	return fmt.Errorf("create %s: %w", path, err)
}
