package repo

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/record"
)

// ringName is a ring object's place: ring/<gen>-<name>.
type ringName struct {
	gen  uint32
	name id.Name
}

func (n ringName) path() string { return fmt.Sprintf("%s%08x-%s", record.Rings, n.gen, n.name) }

func parseRing(s string) (ringName, bool) {
	gen, name, ok := strings.Cut(s, "-")
	if !ok || len(gen) != 8 || strings.ToLower(gen) != gen {
		return ringName{}, false
	}
	g, err := strconv.ParseUint(gen, 16, 32)
	if err != nil {
		return ringName{}, false
	}
	n, err := id.ParseName(name)
	return ringName{gen: uint32(g), name: n}, err == nil
}

// joined is the keyring as its objects say together: the generation of the lowest name among the highest that open,
// with the writers and slots of the others of that generation and of the one before.
//
// One generation before is enough. Whoever makes a change looks again after it: if no higher generation is there, its
// object was there before any higher one was written, so it is seen by whoever makes the next but one.
type joined struct {
	ring    *crypt.Ring
	top     *crypt.Ring // the same of the highest generation alone
	names   []id.Name   // of the objects of ring's generation, ascending; the first is ring's
	highest uint32      // generation of the highest object that is there, whether it opens or not
	closed  int         // objects of higher generations that are whole and do not open: the key was changed
	foreign []ringName  // all whole objects at hand that do not open
}

// listRings lists the ring's objects and their second copies, highest generation first, then by name.
func (r *Repo) listRings(ctx context.Context) ([]ringName, error) {
	var all []ringName
	for _, prefix := range []string{record.Rings, record.DupPath(record.Rings)} {
		names, err := r.list(ctx, prefix)
		if err != nil {
			return nil, err
		}
		for _, s := range names {
			if n, ok := parseRing(s); ok {
				all = append(all, n)
			}
		}
	}
	slices.SortFunc(all, func(a, b ringName) int {
		if a.gen != b.gen {
			return int(int64(b.gen) - int64(a.gen))
		}
		return bytes.Compare(a.name[:], b.name[:])
	})
	return slices.Compact(all), nil
}

// readRing reads one ring object, from its second copy where the original is damaged or gone. damaged says that the
// original is not what its name says.
func (r *Repo) readRing(ctx context.Context, n ringName) (b []byte, damaged bool, err error) {
	for i, path := range []string{n.path(), record.DupPath(n.path())} {
		b, gerr := r.get(ctx, path, maxControl)
		switch {
		case gerr != nil && !curable(gerr):
			return nil, false, gerr
		case gerr != nil:
			err = errors.Join(err, gerr)
		case id.Name(crypt.Sum(b)) != n.name:
			err = errors.Join(err, errs.New(errs.Corrupt, "read %s: its bytes are not what its name says", path))
		default:
			return b, i > 0, nil
		}
	}
	return nil, true, err
}

// joinRings reads the newest keyring that opens with kek. It is errs.Corrupt where none does.
func (r *Repo) joinRings(ctx context.Context, kek crypt.KEK) (*joined, error) {
	all, err := r.listRings(ctx)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, errs.New(errs.Corrupt, "the keyring is missing: nothing is in %s", record.Rings)
	}
	j := &joined{highest: all[0].gen}
	var firstErr error
	for _, n := range all {
		if j.ring != nil && n.gen+1 < j.ring.Generation {
			break
		}
		if j.ring != nil && j.top == nil && n.gen < j.ring.Generation {
			j.top = cloneRing(j.ring)
		}
		b, damaged, err := r.readRing(ctx, n)
		if err != nil && !curable(err) {
			return nil, err
		}
		if damaged {
			r.warn("%s is damaged or gone; its second copy helps where there is one", n.path())
		}
		if err != nil {
			firstErr = cmpErr(firstErr, err)
			continue
		}
		g, err := crypt.OpenRing(b, r.boot.Repository, n.gen, kek.Key)
		if err != nil {
			firstErr = cmpErr(firstErr, err)
			j.foreign = append(j.foreign, n)
			continue
		}
		j.take(g, n.name)
	}
	if j.ring == nil {
		return nil, errs.As(errs.Corrupt, fmt.Errorf("no generation of the keyring opens: %w", firstErr))
	}
	j.finish()
	return j, nil
}

// take makes a ring object that opened the ring, or joins it with what came before.
func (j *joined) take(g *crypt.Ring, name id.Name) {
	if j.ring == nil {
		j.ring, j.names = g, []id.Name{name}
		return
	}
	if g.Generation == j.ring.Generation {
		j.names = append(j.names, name)
	}
	join(j.ring, g)
}

// finish fills in what is known once all objects were seen.
func (j *joined) finish() {
	if j.top == nil {
		j.top = cloneRing(j.ring)
	}
	for _, n := range j.foreign {
		if n.gen > j.ring.Generation {
			j.closed++
		}
	}
}

// cmpErr keeps the first error.
func cmpErr(first, err error) error {
	if first != nil {
		return first
	}
	return err
}

// join adds to g what only the other has: writers and slots. Where both have a writer g's row stands, unless the
// other one revokes it.
func join(g, other *crypt.Ring) {
	for _, w := range other.Writers {
		i := slices.IndexFunc(g.Writers, func(v crypt.RingWriter) bool { return bytes.Equal(v.Public, w.Public) })
		switch {
		case i < 0:
			g.Writers = append(g.Writers, w)
		case w.Revoked && !g.Writers[i].Revoked && other.Generation == g.Generation:
			g.Writers[i] = w
		}
	}
	for _, s := range other.Slots {
		if !slices.ContainsFunc(g.Slots, func(v crypt.RingSlot) bool { return v.ID == s.ID }) {
			g.Slots = append(g.Slots, s)
		}
	}
}

// Reload reads the keyring again: another client may have enrolled a writer.
func (r *Repo) Reload(ctx context.Context) error {
	r.mu.RLock()
	kek := r.kek
	r.mu.RUnlock()
	j, err := r.joinAgain(ctx, kek)
	if err != nil {
		return fmt.Errorf("read the keyring again: %w", err)
	}
	r.adopt(j, kek)
	return nil
}

// joinAgain is joinRings for a repository that is open. It refuses a keyring older than the present one: a change that
// were made from it would bring back revoked writers and removed slots, at a number as high as any.
func (r *Repo) joinAgain(ctx context.Context, kek crypt.KEK) (*joined, error) {
	j, err := r.joinRings(ctx, kek)
	if err != nil {
		return nil, err
	}
	r.mu.RLock()
	have, names := r.ring.Generation, r.names
	r.mu.RUnlock()
	switch {
	case j.ring.Generation < have:
		return nil, errs.New(errs.Corrupt, "the keyring went back from generation %d to %d", have, j.ring.Generation)
	case j.ring.Generation == have && !slices.ContainsFunc(names, func(n id.Name) bool { return slices.Contains(j.names, n) }):
		return nil, errs.New(errs.Corrupt, "generation %d of the keyring is another one than before", have)
	}
	return j, nil
}

// above is the number of a new generation, so far above the highest that is there.
func (j *joined) above(step uint32) (uint32, error) {
	if j.highest > math.MaxUint32-step {
		return 0, errs.WithHint(errs.New(errs.Corrupt, "no number is left above generation %d of the keyring", j.highest),
			"nobody changes a keyring so often: look for rubbish in the folder %s of the repository and delete it", record.Rings)
	}
	return j.highest + step, nil
}

// cloneRing copies what change may change.
func cloneRing(g *crypt.Ring) *crypt.Ring {
	c := *g
	c.Writers, c.Slots = slices.Clone(g.Writers), slices.Clone(g.Slots)
	c.Past, c.Readers = slices.Clone(g.Past), slices.Clone(g.Readers)
	c.Domains = slices.Clone(g.Domains)
	for i := range c.Domains {
		c.Domains[i].Epochs = slices.Clone(g.Domains[i].Epochs)
	}
	return &c
}

// maxTries bounds how often a change of the keyring is made again because others changed it at the same time.
const maxTries = 32

// change makes a change of the keyring last: a new generation, again from the joined ring if another client's
// generation came between. edit changes the ring it gets and reports whether there was anything to change. The change
// stands once the highest generation has it; that the one before has it is not enough, since the author of the next
// may have looked before it was there. The caller holds r.changing.
func (r *Repo) change(ctx context.Context, edit func(*crypt.Ring) (bool, error)) error {
	r.mu.RLock()
	kek := r.kek
	r.mu.RUnlock()
	for range maxTries {
		j, err := r.joinAgain(ctx, kek)
		if err != nil {
			return err
		}
		if j.closed > 0 {
			return errChanged()
		}
		changed, err := edit(j.top)
		if err != nil {
			return err
		}
		if !changed {
			r.adopt(j, kek)
			return r.remember()
		}
		g := cloneRing(j.ring)
		if _, err := edit(g); err != nil {
			return err
		}
		g.Previous, g.Created = j.names[0], r.now()
		if g.Generation, err = j.above(1); err != nil {
			return err
		}
		if err := r.putRing(ctx, g, kek); err != nil {
			return err
		}
		// The next turn looks whether the change stands in what is there now.
	}
	return errs.New(errs.Temporary, "the keyring was changed by others %d times in a row", maxTries)
}

// errChanged is the error of a client whose key-encryption key is no longer the present one.
func errChanged() error {
	return errs.WithHint(errs.New(errs.Denied, "the repository's key was changed since it was opened"), "open it again")
}

// putRing seals a generation, puts it and its second copy, and makes both durable.
func (r *Repo) putRing(ctx context.Context, g *crypt.Ring, kek crypt.KEK) error {
	b, err := crypt.SealRing(r.rand, g, kek)
	if err != nil {
		return err
	}
	n := ringName{gen: g.Generation, name: id.Name(crypt.Sum(b))}
	if err := r.put(ctx, n.path(), b); err != nil {
		return err
	}
	if err := r.flush(ctx); err != nil {
		return err
	}
	if err := r.PutCopy(ctx, n.path(), b); err != nil {
		return err
	}
	return r.flush(ctx)
}

// ringFile holds the newest generation this machine saw, and the names of its objects: "<gen> <name> <name> ...".
const ringFile = "ring"

// remember writes down which keyring was seen.
func (r *Repo) remember() error {
	r.mu.RLock()
	var b strings.Builder
	fmt.Fprintf(&b, "%d", r.ring.Generation)
	for _, n := range r.names {
		b.WriteString(" " + n.String())
	}
	r.mu.RUnlock()
	old, err := r.state.load(ringFile)
	if err != nil || string(old) == b.String()+"\n" {
		return err
	}
	return r.state.save(ringFile, []byte(b.String()+"\n"))
}

// checkMemory refuses a keyring older than the one this machine saw: whoever keeps the store would bring back a
// revoked writer or a removed slot. A memory that cannot be read is no memory.
func (r *Repo) checkMemory(b []byte, err error) error {
	if err != nil {
		r.warn("whether the keyring is as new as it was cannot be told: %w", err)
		return nil
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return nil
	}
	gen, err := strconv.ParseUint(fields[0], 10, 32)
	if err != nil {
		return nil
	}
	old := false
	switch have := uint64(r.ring.Generation); {
	case have < gen:
		old = true
	case have == gen:
		// The name remembered may have lost against a lower one since, but it is still there.
		old = !slices.ContainsFunc(fields[1:], func(s string) bool {
			raw, err := hex.DecodeString(s)
			return err == nil && len(raw) == len(id.Name{}) && slices.Contains(r.names, id.Name(raw))
		})
	}
	if !old {
		return nil
	}
	return errs.WithHint(errs.New(errs.Corrupt, "the keyring is older than the one this machine saw: generation %d of %d or later",
		r.ring.Generation, gen),
		"the repository was rolled back or lost its newest keyring; if you know why, remove the file %q in the state folder %s",
		ringFile, r.state.dir)
}
