package repo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nacre-backup/nacre/internal/clock"
	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/event"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/store"
)

// bootPath is where a stranger begins.
const bootPath = "nacre.json"

// OpenOptions says what Open opens.
type OpenOptions struct {
	Store      store.Store
	Clock      clock.Clock // nil: the system's
	Rand       clock.Rand  // nil: the system's
	Credential Credential
	// StateDir is this machine's folder for this repository's state; empty: nothing is remembered. StateRoot is the
	// folder above those of all repositories, used where StateDir is empty: the repository's id is added to it.
	StateDir  string
	StateRoot string
	Label     string // of this machine's writer when it is enrolled, for instance the host name
	Events    event.Func
}

// Probe reads nacre.json alone: which repository is in the store. It is errs.NoRepository where there is none.
func Probe(ctx context.Context, s store.Store) (*crypt.Bootstrap, error) {
	r := &Repo{store: s}
	b, _, err := r.readBoot(ctx)
	return b, err
}

// Open opens the repository in the store. It writes nothing there.
//
// The error is errs.NoRepository where there is none, errs.WrongKey where the credential opens no slot, errs.Corrupt
// where what is needed is damaged in both copies or the keyring is older than the one this machine saw, and
// errs.Unsupported where the repository is of a later format.
func Open(ctx context.Context, o OpenOptions) (*Repo, error) {
	r := &Repo{store: o.Store, events: o.Events, label: o.Label}
	r.clock, r.rand = defaults(o.Clock, o.Rand)
	boot, raw, err := r.readBoot(ctx)
	if err != nil {
		return nil, err
	}
	r.boot = boot
	r.state = newState(stateDir(o.StateDir, o.StateRoot, boot.Repository))
	// The memory is read before the keyring: another process of this machine may add to both meanwhile.
	memory, memoryErr := r.state.load(ringFile)
	if err := r.unlock(ctx, o.Credential); err != nil {
		return nil, err
	}
	if err := r.checkBoot(ctx, raw); err != nil {
		return nil, err
	}
	if err := r.checkMemory(memory, memoryErr); err != nil {
		return nil, err
	}
	if err := r.remember(); err != nil {
		r.warn("remember the keyring: %w", err) // a read-only state folder does not keep anybody from restoring
	}
	return r, nil
}

func stateDir(dir, root string, repo id.Repository) string {
	if dir == "" && root != "" {
		return strings.TrimRight(root, "/\\") + "/" + repo.String()
	}
	return dir
}

// readBoot reads nacre.json, or its second copy.
func (r *Repo) readBoot(ctx context.Context) (*crypt.Bootstrap, []byte, error) {
	b, raw, err := r.readBootAt(ctx, bootPath)
	if err == nil || !curable(err) {
		return b, raw, err
	}
	b, raw, err2 := r.readBootAt(ctx, record.DupPath(bootPath))
	switch {
	case err2 == nil:
		r.warn("%s is damaged or gone, its second copy is used: %w", bootPath, err)
		return b, raw, nil
	case !curable(err2):
		return nil, nil, err2
	case errors.Is(err, errs.NotFound) && errors.Is(err2, errs.NotFound):
		err = errs.New(errs.NoRepository, "there is no repository here: %s is missing", bootPath)
		return nil, nil, errs.WithHint(err, "make one with: nacre init, or give the right place with -r")
	}
	return nil, nil, errs.WithHint(err, "bring %s back from a copy of the repository; its second copy in dup/ does not help", bootPath)
}

func (r *Repo) readBootAt(ctx context.Context, path string) (*crypt.Bootstrap, []byte, error) {
	raw, err := r.get(ctx, path, maxJSON)
	if err != nil {
		return nil, nil, err
	}
	b, err := crypt.ParseBootstrap(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", path, err)
	}
	return b, raw, nil
}

// checkBoot compares nacre.json with its hash in the keyring. A difference that parses is forged or damaged: what
// it says of features then comes from the second copy, if that one is right.
func (r *Repo) checkBoot(ctx context.Context, raw []byte) error {
	want := r.Ring().Bootstrap
	if crypt.Sum(raw) == want {
		return nil
	}
	b, copied, err := r.readBootAt(ctx, record.DupPath(bootPath))
	if err == nil && crypt.Sum(copied) == want {
		r.warn("%s is not what init wrote; its second copy is used", bootPath)
		r.boot = b
		return nil
	}
	if err != nil && !curable(err) {
		return err
	}
	return errs.WithHint(errs.New(errs.Corrupt, "%s was changed: it is not what the keyring says", bootPath),
		"bring %s back from a copy of the repository", bootPath)
}

// slotFile is a slot that was read.
type slotFile struct {
	slot *crypt.Slot
	path string
}

// readSlots reads the key slots, each from its second copy where the original is damaged or gone.
func (r *Repo) readSlots(ctx context.Context) ([]slotFile, error) {
	ids := map[crypt.SlotID]bool{}
	for _, prefix := range []string{record.Keys, record.DupPath(record.Keys)} {
		names, err := r.list(ctx, prefix)
		if err != nil {
			return nil, err
		}
		for _, s := range names {
			if base, ok := strings.CutSuffix(s, ".json"); ok {
				if sid, err := crypt.ParseSlotID(base); err == nil {
					ids[sid] = true
				}
			}
		}
	}
	var out []slotFile
	for sid := range ids {
		path := fmt.Sprintf("%s%s.json", record.Keys, sid)
		s, err := r.readSlot(ctx, sid, path)
		if err != nil && curable(err) {
			first := err
			if s, err = r.readSlot(ctx, sid, record.DupPath(path)); err == nil {
				r.warn("%s is damaged or gone, its second copy is used: %w", path, first)
			}
		}
		switch {
		case err == nil:
			out = append(out, slotFile{slot: s, path: path})
		case curable(err) || errors.Is(err, errs.Unsupported):
			r.warn("a key slot cannot be used: %w", err)
		default:
			return nil, err
		}
	}
	slices.SortFunc(out, func(a, b slotFile) int { return strings.Compare(a.path, b.path) })
	return out, nil
}

// otherSlots reads the second copies that differ from the slots that were read.
func (r *Repo) otherSlots(ctx context.Context, read []slotFile) ([]slotFile, error) {
	var out []slotFile
	for _, f := range read {
		s, err := r.readSlot(ctx, f.slot.ID, record.DupPath(f.path))
		switch {
		case err == nil && s.Hash() != f.slot.Hash():
			out = append(out, slotFile{slot: s, path: f.path})
		case err != nil && !curable(err) && !errors.Is(err, errs.Unsupported):
			return nil, err
		}
	}
	return out, nil
}

func (r *Repo) readSlot(ctx context.Context, sid crypt.SlotID, path string) (*crypt.Slot, error) {
	b, err := r.get(ctx, path, maxJSON)
	if err != nil {
		return nil, err
	}
	s, err := crypt.ParseSlot(r.boot.Repository, sid, b)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return s, nil
}

// fits says whether the slot's kind is what the credential is for, so that no password is tried (at the cost of
// Argon2) on what it cannot open.
func fits(c *Credential, kind string) bool {
	switch kind {
	case crypt.SlotPassword:
		return c.Password != nil
	case crypt.SlotKeyfile:
		return c.Keyfile != nil || c.Words != ""
	case crypt.SlotAge:
		return len(c.Identities) > 0
	}
	return false
}

// unlock opens a slot and the newest keyring that one of the slots leads to.
//
// An open slot is used only if the user gave nothing: otherwise whoever keeps the store could put a repository of its
// own in the place, and the user, who gives a password, would fill it.
func (r *Repo) unlock(ctx context.Context, c Credential) error {
	u, err := c.unlock()
	if err != nil {
		return err
	}
	slots, err := r.readSlots(ctx)
	if err != nil {
		return err
	}
	if len(slots) == 0 {
		return errs.WithHint(errs.New(errs.Corrupt, "the repository has no key slot that can be read"),
			"bring the folder %s back from a copy of the repository", record.Keys)
	}
	// The cheapest first: whoever keeps the store can add slots whose costs take a gigabyte and minutes each. They are
	// not tried where one opens before them.
	slices.SortStableFunc(slots, func(a, b slotFile) int { return cmp.Compare(a.slot.Cost(), b.slot.Cost()) })
	k := &opener{r: r, c: &c, u: u, tried: map[crypt.Key]bool{}}
	if err := k.try(ctx, slots); err != nil {
		return err
	}
	if k.best == nil {
		// A slot that was changed on purpose has a right checksum; its second copy may still be as it was.
		if slots, err = r.otherSlots(ctx, slots); err != nil {
			return err
		}
		if err := k.try(ctx, slots); err != nil {
			return err
		}
	}
	if k.best == nil {
		return r.refused(c.empty(), k.open, len(k.tried) > 0, k.ringErr)
	}
	if k.best.closed > 0 {
		r.warn("a newer generation of the keyring is there and does not open with this key: the key was taken away")
	}
	r.openSlot = k.open && c.empty()
	r.adopt(k.best, k.kek)
	return nil
}

// opener looks for the newest keyring that a credential leads to.
type opener struct {
	r       *Repo
	c       *Credential
	u       crypt.Unlock
	tried   map[crypt.Key]bool // the keys that slots have yielded
	open    bool               // there is a slot that opens to everybody
	best    *joined
	kek     crypt.KEK // best's
	ringErr error     // of the first keyring that did not open
}

// try opens slots until nothing newer can be there.
func (k *opener) try(ctx context.Context, slots []slotFile) error {
	suitable, open := choose(slots, k.c)
	k.open = k.open || open
	for _, f := range suitable {
		kek, ok := k.r.openSlotOf(f, k.u)
		if !ok || k.tried[kek.Key] {
			continue
		}
		k.tried[kek.Key] = true
		j, err := k.r.joinRings(ctx, kek)
		if err != nil {
			if !curable(err) {
				return err
			}
			k.ringErr = cmpErr(k.ringErr, err)
			continue
		}
		if k.best == nil || j.ring.Generation > k.best.ring.Generation {
			k.best, k.kek = j, kek
		}
		if j.closed == 0 {
			break // nothing newer is there: no other slot leads further
		}
	}
	return nil
}

// choose returns the slots that a credential may open, and whether there is an open one.
func choose(slots []slotFile, c *Credential) (suitable []slotFile, open bool) {
	for _, f := range slots {
		isOpen := f.slot.Kind == crypt.SlotOpen
		open = open || isOpen
		if isOpen == c.empty() && (isOpen || fits(c, f.slot.Kind)) {
			suitable = append(suitable, f)
		}
	}
	return suitable, open
}

// openSlotOf opens a slot. It is not ok if the secret is another's; a slot that is damaged is reported.
func (r *Repo) openSlotOf(f slotFile, u crypt.Unlock) (crypt.KEK, bool) {
	kek, err := f.slot.Open(u)
	if err != nil && !errors.Is(err, errs.WrongKey) {
		r.warn("the key slot %s does not open: %w", f.path, err)
	}
	return kek, err == nil
}

// refused is the error of a repository that did not open.
func (r *Repo) refused(none, open, opened bool, ringErr error) error {
	switch {
	case opened:
		return errs.WithHint(fmt.Errorf("the key is right but the keyring does not open: %w", ringErr),
			"bring the folder %s back from a copy of the repository", record.Rings)
	case none:
		return errs.WithHint(errs.New(errs.WrongKey, "the repository needs a password or a key"),
			"give the password, a keyfile or the 24 recovery words")
	case open:
		return errs.WithHint(errs.New(errs.WrongKey, "no key slot opens with this key; the repository is without encryption"),
			"if you know that, open it without a password or key")
	}
	return errs.WithHint(errs.New(errs.WrongKey, "no key slot opens with this key or password"),
		"check the password, and that this is the repository you mean: %s", r.boot.Repository)
}
