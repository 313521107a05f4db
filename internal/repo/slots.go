package repo

import (
	"context"
	"fmt"
	"slices"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/record"
)

// SlotInfo describes a key slot.
type SlotInfo struct {
	ID      crypt.SlotID
	Kind    string // crypt.SlotPassword and its like
	Label   string
	Created int64 // ns
	// Unlisted says that the slot is there and opens, but the keyring does not name it: it was being added when its
	// client was cut off. RemoveSlot takes it away like any other.
	Unlisted bool
}

func info(s *crypt.Slot) SlotInfo {
	return SlotInfo{ID: s.ID, Kind: s.Kind, Label: s.Label, Created: s.Created.UnixNano()}
}

// newSlot makes the slot for a credential; an empty one makes an open slot.
func (r *Repo) newSlot(c *Credential, label string, cost crypt.Argon2, k crypt.KEK) (*crypt.Slot, error) {
	u, err := c.unlock()
	if err != nil {
		return nil, err
	}
	spec := crypt.SlotSpec{Repository: r.boot.Repository, Label: label, Created: r.clock.Now()}
	named := func(kind string) crypt.SlotSpec {
		if spec.Label == "" {
			spec.Label = kind
		}
		return spec
	}
	switch {
	case c.empty():
		return crypt.NewOpenSlot(r.rand, named(crypt.SlotOpen), k)
	case c.Password != nil && len(c.Password) == 0:
		return nil, errs.New(errs.Usage, "the password is empty")
	case c.Password != nil:
		return crypt.NewPasswordSlot(r.rand, named(crypt.SlotPassword), u.Password, cost, k)
	case len(c.Recipients) > 0:
		return crypt.NewAgeSlot(r.rand, named(crypt.SlotAge), c.Recipients, k)
	case len(c.Identities) > 0:
		return nil, errs.New(errs.Usage, "a key slot is made for age recipients, not for identities")
	}
	return crypt.NewKeyfileSlot(r.rand, named(crypt.SlotKeyfile), u.Key, k)
}

// ListSlots lists the key slots that are there and can be read.
func (r *Repo) ListSlots(ctx context.Context) ([]SlotInfo, error) {
	files, err := r.readSlots(ctx)
	if err != nil {
		return nil, err
	}
	ring := r.Ring()
	out := make([]SlotInfo, 0, len(files))
	for _, f := range files {
		i := info(f.slot)
		i.Unlisted = !slices.Contains(ring.Slots, crypt.RingSlot{ID: f.slot.ID, Hash: f.slot.Hash()})
		out = append(out, i)
	}
	return out, nil
}

// ringSlots reads the slots that the keyring names with their hashes.
func (r *Repo) ringSlots(ctx context.Context) ([]*crypt.Slot, error) {
	files, err := r.readSlots(ctx)
	if err != nil {
		return nil, err
	}
	others, err := r.otherSlots(ctx, files)
	if err != nil {
		return nil, err
	}
	ring := r.Ring()
	var out []*crypt.Slot
	for _, f := range append(files, others...) {
		if slices.Contains(ring.Slots, crypt.RingSlot{ID: f.slot.ID, Hash: f.slot.Hash()}) {
			out = append(out, f.slot)
		}
	}
	return out, nil
}

// AddSlot adds a key slot for the credential. Where the repository was open to everybody it closes it: the open slots
// go, the key-encryption key and the secrets for sealing are new. What was stored before stays readable for whoever
// kept a copy of the old keyring.
func (r *Repo) AddSlot(ctx context.Context, c Credential, label string, cost crypt.Argon2) (SlotInfo, error) {
	if c.empty() {
		return SlotInfo{}, errs.New(errs.Usage, "a key slot needs a password, a key or recipients")
	}
	r.changing.Lock()
	defer r.changing.Unlock()
	if r.Unencrypted() {
		return r.close(ctx, &c, label, cost)
	}
	r.mu.RLock()
	kek := r.kek
	r.mu.RUnlock()
	s, err := r.newSlot(&c, label, cost, kek)
	if err != nil {
		return SlotInfo{}, err
	}
	if err := r.putSlot(ctx, s); err != nil {
		return SlotInfo{}, err
	}
	row := crypt.RingSlot{ID: s.ID, Hash: s.Hash()}
	err = r.change(ctx, func(g *crypt.Ring) (bool, error) {
		if slices.Contains(g.Slots, row) {
			return false, nil
		}
		g.Slots = append(g.Slots, row)
		return true, nil
	})
	if err != nil {
		return SlotInfo{}, fmt.Errorf("add key slot %s: %w", s.ID, err)
	}
	return info(s), nil
}

// putSlot stores a slot and its second copy.
func (r *Repo) putSlot(ctx context.Context, s *crypt.Slot) error {
	if err := r.put(ctx, s.Path(), s.Bytes()); err != nil {
		return err
	}
	if err := r.PutCopy(ctx, s.Path(), s.Bytes()); err != nil {
		return err
	}
	return r.flush(ctx)
}

// AddRecoveryWords adds a keyfile slot with a new key and returns the key's 24 words.
func (r *Repo) AddRecoveryWords(ctx context.Context, label string) ([]string, error) {
	k, err := crypt.NewKey(r.rand)
	if err != nil {
		return nil, err
	}
	words := crypt.Words(k)
	if label == "" {
		label = "recovery words"
	}
	if _, err := r.AddSlot(ctx, Credential{Keyfile: crypt.FormatKeyfile(k, r.boot.Repository)}, label, crypt.Argon2{}); err != nil {
		return nil, err
	}
	return words, nil
}

// close replaces the open slots by the credential's.
func (r *Repo) close(ctx context.Context, c *Credential, label string, cost crypt.Argon2) (SlotInfo, error) {
	var made *crypt.Slot
	err := r.rekey(ctx, func(old []*crypt.Slot, k crypt.KEK) ([]*crypt.Slot, error) {
		s, err := r.newSlot(c, label, cost, k)
		if err != nil {
			return nil, err
		}
		made = s
		kept, err := r.rewrap(old, k, func(s *crypt.Slot) bool { return s.Kind != crypt.SlotOpen })
		return append(kept, s), err
	})
	if err != nil {
		return SlotInfo{}, fmt.Errorf("close the repository: %w", err)
	}
	return info(made), nil
}

// RemoveSlot takes a key slot away: the key-encryption key and the secrets for sealing are new, for all other slots.
// The last one stays. Who knew the removed secret and kept a copy of the old keyring can read what was stored before.
func (r *Repo) RemoveSlot(ctx context.Context, sid crypt.SlotID) error {
	r.changing.Lock()
	defer r.changing.Unlock()
	all, err := r.ListSlots(ctx)
	if err != nil {
		return err
	}
	err = r.rekey(ctx, func(old []*crypt.Slot, k crypt.KEK) ([]*crypt.Slot, error) {
		named := slices.ContainsFunc(old, func(s *crypt.Slot) bool { return s.ID == sid })
		switch {
		case !named && !slices.ContainsFunc(all, func(i SlotInfo) bool { return i.ID == sid }):
			return nil, errs.New(errs.NotFound, "there is no such key slot")
		case named && len(old) == 1:
			return nil, errs.WithHint(errs.New(errs.Usage, "it is the last one"), "add another key slot first")
		}
		return r.rewrap(old, k, func(s *crypt.Slot) bool { return s.ID != sid })
	}, sid)
	if err != nil {
		return fmt.Errorf("remove key slot %s: %w", sid, err)
	}
	return nil
}

// rewrap makes new slots for the key from those that stay.
func (r *Repo) rewrap(old []*crypt.Slot, k crypt.KEK, stays func(*crypt.Slot) bool) ([]*crypt.Slot, error) {
	var out []*crypt.Slot
	for _, s := range old {
		if !stays(s) {
			continue
		}
		n, err := s.Rewrap(r.rand, k)
		if err != nil {
			return nil, fmt.Errorf("give key slot %s the new key: %w", s.ID, err)
		}
		out = append(out, n)
	}
	return out, nil
}

// rekey changes the key-encryption key: new slots, then the keyring, then the old slots, those of drop and the old
// keyrings are deleted. At any crash between, the old slots open the old keyring or the new ones the new. A key slot
// that cannot be read stops it: its owner would be locked out.
func (r *Repo) rekey(ctx context.Context, slots func(old []*crypt.Slot, k crypt.KEK) ([]*crypt.Slot, error), drop ...crypt.SlotID) error {
	r.mu.RLock()
	oldKEK := r.kek
	r.mu.RUnlock()
	j, err := r.joinAgain(ctx, oldKEK)
	if err != nil {
		return err
	}
	// One number is left out, so that what is enrolled under the old key meanwhile stays below: whoever enrolled
	// then sees that the key was changed.
	number, err := j.above(2)
	if err != nil {
		return err
	}
	if j.closed > 0 {
		return errChanged()
	}
	r.adopt(j, oldKEK)
	old, err := r.ringSlots(ctx)
	if err != nil {
		return err
	}
	if len(old) != len(j.ring.Slots) {
		return errs.New(errs.Corrupt, "%d of %d key slots can be read", len(old), len(j.ring.Slots))
	}
	kek := crypt.KEK{Number: oldKEK.Number + 1}
	if kek.Key, err = crypt.NewKey(r.rand); err != nil {
		return err
	}
	made, err := slots(old, kek)
	if err != nil {
		return err
	}
	for _, s := range made {
		if err := r.putSlot(ctx, s); err != nil {
			return err
		}
	}
	g, err := r.nextKeys(j, number, kek, made)
	if err != nil {
		return err
	}
	if err := r.putRing(ctx, g, kek); err != nil {
		return err
	}
	if err := r.settle(ctx, oldKEK, kek, g, made); err != nil {
		return err
	}
	for _, s := range old {
		drop = append(drop, s.ID)
	}
	return r.sweep(ctx, drop)
}

// nextKeys makes the first generation under a new key-encryption key, with new secrets for sealing.
func (r *Repo) nextKeys(j *joined, number uint32, kek crypt.KEK, made []*crypt.Slot) (*crypt.Ring, error) {
	g := cloneRing(j.ring)
	g.Generation, g.Previous, g.Created, g.KEK = number, j.names[0], r.now(), kek.Number
	g.Slots = nil
	for _, s := range made {
		g.Slots = append(g.Slots, crypt.RingSlot{ID: s.ID, Hash: s.Hash()})
	}
	g.Past = append(g.Past, g.Control)
	g.Epoch++
	next := func(epoch uint32) (crypt.EpochSecret, error) {
		k, err := crypt.NewKey(r.rand)
		return crypt.EpochSecret{Epoch: epoch, Secret: k, Created: r.now()}, err
	}
	var err error
	if g.Control, err = next(g.Epoch); err != nil {
		return nil, err
	}
	reader, err := next(g.Epoch)
	if err != nil {
		return nil, err
	}
	g.Readers = append(g.Readers, reader)
	for i := range g.Domains {
		d := &g.Domains[i]
		e, err := next(d.Epochs[len(d.Epochs)-1].Epoch + 1)
		if err != nil {
			return nil, err
		}
		d.Epochs = append(d.Epochs, e)
	}
	return g, nil
}

// settle makes the keyring g under the new key the present one, with the writers that were enrolled under the old key
// while it was made. If another client changed the key at the same time, this change is taken back: of two clients
// at least the one that looks last sees the other.
func (r *Repo) settle(ctx context.Context, oldKEK, kek crypt.KEK, g *crypt.Ring, made []*crypt.Slot) error {
	j, err := r.joinRings(ctx, kek)
	if err != nil {
		return err
	}
	for _, n := range j.foreign {
		if n.gen < g.Generation {
			continue
		}
		if err := r.takeBack(ctx, j, made); err != nil {
			return err
		}
		return errs.WithHint(errs.New(errs.Temporary, "another client changed the repository's keyring at the same time"),
			"open it again and look at its key slots")
	}
	late, err := r.joinRings(ctx, oldKEK)
	if err != nil {
		return err
	}
	r.adopt(j, kek)
	return r.change(ctx, func(g *crypt.Ring) (bool, error) {
		n := len(g.Writers)
		own := slices.Clone(g.Slots)
		join(g, late.ring)
		g.Slots = own
		return len(g.Writers) > n, nil
	})
}

// takeBack deletes the keyring and the slots of a change of the key that is not to be.
func (r *Repo) takeBack(ctx context.Context, j *joined, made []*crypt.Slot) error {
	for _, n := range j.names {
		if err := r.deleteBoth(ctx, ringName{gen: j.ring.Generation, name: n}.path()); err != nil {
			return err
		}
	}
	for _, s := range made {
		if err := r.deleteBoth(ctx, s.Path()); err != nil {
			return err
		}
	}
	return r.flush(ctx)
}

// sweep deletes the slots of drop that the keyring does not name and the ring objects that its key does not open,
// with their second copies, and judges anew whether the repository is open to everybody.
func (r *Repo) sweep(ctx context.Context, drop []crypt.SlotID) error {
	files, err := r.readSlots(ctx)
	if err != nil {
		return err
	}
	ring := r.Ring()
	open := false
	for _, f := range files {
		if slices.ContainsFunc(ring.Slots, func(s crypt.RingSlot) bool { return s.ID == f.slot.ID }) {
			open = open || f.slot.Kind == crypt.SlotOpen
			continue
		}
		if !slices.Contains(drop, f.slot.ID) {
			continue // another client is adding it
		}
		if err := r.deleteBoth(ctx, f.path); err != nil {
			return err
		}
	}
	all, err := r.listRings(ctx)
	if err != nil {
		return err
	}
	r.mu.RLock()
	kek := r.kek
	r.mu.RUnlock()
	for _, n := range all {
		if n.gen >= ring.Generation {
			continue
		}
		b, _, err := r.readRing(ctx, n)
		if err != nil {
			if curable(err) {
				continue // damaged: it opens for nobody
			}
			return err
		}
		if _, err := crypt.OpenRing(b, r.boot.Repository, n.gen, kek.Key); err == nil {
			continue
		}
		if err := r.deleteBoth(ctx, n.path()); err != nil {
			return err
		}
	}
	r.mu.Lock()
	r.openSlot = open
	r.mu.Unlock()
	return r.flush(ctx)
}

// deleteBoth deletes an object and its second copy.
func (r *Repo) deleteBoth(ctx context.Context, path string) error {
	for _, p := range []string{path, record.DupPath(path)} {
		if err := r.store.Delete(ctx, p); err != nil {
			return fmt.Errorf("delete %s: %w", p, err)
		}
	}
	return nil
}
