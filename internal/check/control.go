package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/session"
	"github.com/nacre-backup/nacre/internal/store"
)

const (
	boot       = "nacre.json"
	maxJSON    = 64 << 10
	maxControl = 64 << 20
)

// keys checks nacre.json, the key slots and the generations of the keyring.
func (c *checker) keys(ctx context.Context) error {
	ring := c.repo.Ring()
	if err := c.original(ctx, boot); err != nil {
		return err
	}
	for _, s := range ring.Slots {
		if err := c.original(ctx, slotPath(s.ID)); err != nil {
			return err
		}
	}
	listed, err := c.names(ctx, record.Keys)
	if err != nil {
		return err
	}
	for name := range listed {
		if c.slotHash(name) == nil {
			c.note("key slot %s is not in the keyring: it was being added when its client was cut off", name)
		}
	}
	if listed, err = c.names(ctx, record.Rings); err != nil {
		return err
	}
	for name := range listed {
		if err := c.original(ctx, name); err != nil {
			return err
		}
	}
	return c.lostRings(ctx, listed)
}

// lostRings finds generations of the keyring that only their second copies tell of. Generations before a change of the
// key-encryption key are deleted, each with its copy after it: a copy that is lower than all that is there, once the key
// has changed, is what a client left that was cut off in between.
func (c *checker) lostRings(ctx context.Context, there map[string]int64) error {
	copies, err := c.names(ctx, record.DupPath(record.Rings))
	if err != nil {
		return err
	}
	lowest := fmt.Sprintf("%s%08x-", record.Rings, c.repo.Ring().Generation)
	for name := range there {
		lowest = min(lowest, name)
	}
	for dup := range copies {
		path := strings.TrimPrefix(dup, record.Duplicates)
		if _, ok := there[path]; ok || path < lowest && c.repo.Ring().KEK > 1 {
			continue
		}
		if err := c.original(ctx, path); err != nil {
			return err
		}
	}
	return nil
}

func slotPath(s crypt.SlotID) string { return record.Keys + s.String() + ".json" }

// slotHash is the hash that the keyring has of a slot's file.
func (c *checker) slotHash(path string) *[32]byte {
	slots := c.repo.Ring().Slots
	for i := range slots {
		if slotPath(slots[i].ID) == path {
			return &slots[i].Hash
		}
	}
	return nil
}

// original checks an object that has a second copy, and the copy if the original is not whole.
func (c *checker) original(ctx context.Context, path string) error {
	err := c.verify(ctx, path, path)
	if err == nil || passing(ctx, err) {
		return err
	}
	cerr := c.verify(ctx, path, record.DupPath(path))
	switch {
	case cerr == nil:
		c.heal(path, err)
	case passing(ctx, cerr):
		return cerr
	default:
		c.add(path, err)
	}
	return nil
}

// verify reads the object or its second copy from a path and holds it to what the object must be.
func (c *checker) verify(ctx context.Context, path, from string) error {
	limit := int64(maxControl)
	if path == boot || strings.HasPrefix(path, record.Keys) {
		limit = maxJSON
	}
	b, err := store.ReadAll(ctx, c.repo.Store(), from, limit)
	if err != nil {
		return err
	}
	return c.judge(path, b)
}

// judge holds the bytes of an object that has a second copy to what they must be.
func (c *checker) judge(path string, b []byte) error {
	switch {
	case path == boot:
		if crypt.Sum(b) != c.repo.Ring().Bootstrap {
			return errs.New(errs.Corrupt, "it is not what the keyring says")
		}
	case strings.HasPrefix(path, record.Keys):
		if want := c.slotHash(path); want != nil && crypt.Sum(b) != *want {
			return errs.New(errs.Corrupt, "it is not what the keyring says")
		}
	case strings.HasPrefix(path, record.Rings):
		if _, name, _ := strings.Cut(path, "-"); id.Name(crypt.Sum(b)).String() != name {
			return errs.New(errs.Corrupt, "its bytes are not those that its name says")
		}
	case strings.HasPrefix(path, record.Fates):
		_, err := c.repo.OpenControl(crypt.ClassFate, path, b)
		return err
	}
	return nil
}

// sessions takes over what the listing of the state found.
func (c *checker) sessions(ctx context.Context) error {
	for _, u := range c.state.Unknowns() {
		if !strings.HasPrefix(u.Path, record.Fates) {
			c.add(u.Path, u.Err)
			continue
		}
		if errors.Is(u.Err, errs.NotFound) {
			// It was not listed, its copy was, a moment later: it may have been written in between.
			if _, err := c.repo.Store().Stat(ctx, u.Path); err == nil {
				continue
			} else if !errors.Is(err, errs.NotFound) {
				return err
			}
		}
		f, ok := c.state.Fate(record.ParsePlace(u.Path).Session)
		if ok && f.Path == u.Path {
			c.heal(u.Path, u.Err)
		} else {
			c.add(u.Path, u.Err)
		}
	}
	for _, a := range c.state.Alarms() {
		path := record.FatePath(c.state.Era(), a.Session)
		if _, there := c.state.Fate(a.Session); there {
			c.add(path, errs.New(errs.Corrupt, "it is not the fate that %s names", a.NamedBy))
		} else {
			c.add(path, errs.New(errs.NotFound, "it is gone, and %s names it", a.NamedBy))
		}
	}
	return c.openSessions()
}

// openSessions notes what is not finished, which is no damage.
func (c *checker) openSessions() error {
	open := c.state.OpenSessions()
	writing := slices.DeleteFunc(slices.Clone(open), func(o *session.Open) bool { return o.Record != nil && o.Record.Use == record.Read })
	if len(writing) > 0 {
		c.note("%d sessions have no fate: they are at work, or were cut off", len(writing))
	}
	if n := len(open) - len(writing); n > 0 {
		c.note("%d read sessions are there: their restores are at work, or were cut off", n)
	}
	unconfirmed := 0
	if err := c.state.Fates(func(f *session.Fate) error {
		if f.Unconfirmed {
			unconfirmed++
		}
		return nil
	}); err != nil {
		return err
	}
	if unconfirmed > 0 {
		c.note("%d snapshots may still be voided by a client that took their session for dead", unconfirmed)
	}
	return nil
}

// names lists the objects under a prefix.
func (c *checker) names(ctx context.Context, prefix string) (map[string]int64, error) {
	all := map[string]int64{}
	err := c.repo.Store().List(ctx, prefix, func(i store.Info) error {
		all[i.Name] = i.Size
		return nil
	})
	return all, err
}

// copies compares the second copies with their originals. Whether an original is damaged or gone was found out before.
func (c *checker) copies(ctx context.Context) error {
	dups, err := c.names(ctx, record.Duplicates)
	if err != nil {
		return err
	}
	for dup := range dups {
		path := strings.TrimPrefix(dup, record.Duplicates)
		if err := c.copy(ctx, path, dup); err != nil {
			return err
		}
	}
	rings, err := c.names(ctx, record.Rings)
	if err != nil {
		return err
	}
	var missing []string
	for _, path := range slices.Concat([]string{boot}, c.slots(), slices.Collect(maps.Keys(rings))) {
		if _, ok := dups[record.DupPath(path)]; !ok {
			missing = append(missing, path)
		}
	}
	if err := c.state.Fates(func(f *session.Fate) error {
		if _, ok := dups[record.DupPath(f.Path)]; !ok {
			missing = append(missing, f.Path)
		}
		return nil
	}); err != nil {
		return err
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		c.note("no second copy of %d objects (%s is the first): their writers were cut off before they wrote it, or it was lost", len(missing), missing[0])
	}
	return nil
}

func (c *checker) slots() (paths []string) {
	for _, s := range c.repo.Ring().Slots {
		paths = append(paths, slotPath(s.ID))
	}
	return paths
}

// copy checks one second copy.
func (c *checker) copy(ctx context.Context, path, dup string) error {
	copied, err := store.ReadAll(ctx, c.repo.Store(), dup, maxControl)
	if err == nil {
		err = c.judge(path, copied)
	}
	if err != nil {
		if passing(ctx, err) {
			return err
		}
		c.heal(dup, err)
		return nil
	}
	whole, err := store.ReadAll(ctx, c.repo.Store(), path, maxControl)
	switch {
	case err == nil && (bytes.Equal(whole, copied) || c.damage[path] != nil):
	case err == nil:
		c.heal(dup, errs.New(errs.Corrupt, "it differs from %s", path))
	case passing(ctx, err):
		return err
	case errors.Is(err, errs.NotFound):
		// A keyring's generation or a slot that was replaced is deleted with its copy; a client that was cut off in
		// between leaves the copy. What is still named was reported before.
		if c.damage[path] == nil && !strings.HasPrefix(path, record.Fates) {
			c.note("%s is the copy of an object that was replaced", dup)
		}
	}
	return nil
}
