package repo

import (
	"bytes"
	"context"
	"errors"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
)

// SlotsFor lists the key slots that the credential opens. Each password slot costs what Argon2id costs.
func (r *Repo) SlotsFor(ctx context.Context, c Credential) ([]SlotInfo, error) {
	u, err := c.unlock()
	if err != nil {
		return nil, err
	}
	files, err := r.readSlots(ctx)
	if err != nil {
		return nil, err
	}
	var out []SlotInfo
	for _, f := range files {
		if !fits(&c, f.slot.Kind) {
			continue
		}
		if _, err := f.slot.Open(u); err == nil {
			out = append(out, info(f.slot))
		} else if !errors.Is(err, errs.WrongKey) {
			r.warn("the key slot %s does not open: %w", f.path, err)
		}
	}
	return out, nil
}

// ReplacePassword adds a slot for a new password and takes away every slot that the old one opens, so that the old one
// opens the repository no more. Cut off between, both open it.
func (r *Repo) ReplacePassword(ctx context.Context, old, password []byte, label string, cost crypt.Argon2) (SlotInfo, error) {
	if bytes.Equal(old, password) {
		return SlotInfo{}, errs.New(errs.Usage, "the new password is the old one")
	}
	stale, err := r.SlotsFor(ctx, Credential{Password: old})
	if err != nil {
		return SlotInfo{}, err
	}
	if len(stale) == 0 {
		return SlotInfo{}, errs.New(errs.WrongKey, "the old password opens no key slot")
	}
	if label == "" {
		label = stale[0].Label
	}
	if _, err := r.AddSlot(ctx, Credential{Password: password}, label, cost); err != nil {
		return SlotInfo{}, err
	}
	for len(stale) > 0 { // the ids of those that stay change with each that goes
		if err := r.RemoveSlot(ctx, stale[0].ID); err != nil {
			return SlotInfo{}, err
		}
		if stale, err = r.SlotsFor(ctx, Credential{Password: old}); err != nil {
			return SlotInfo{}, err
		}
	}
	made, err := r.SlotsFor(ctx, Credential{Password: password})
	if err != nil {
		return SlotInfo{}, err
	}
	if len(made) == 0 {
		return SlotInfo{}, errs.New(errs.Temporary, "another client changed the key slots at the same time")
	}
	return made[0], nil
}
