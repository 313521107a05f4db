package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
)

// ReplacePassword puts a key slot for a new password in the place of every slot that the old one opens, in one change of
// the key-encryption key: at any crash one of the two opens the repository. No label keeps the old slot's. Each password
// slot costs what its Argon2id costs.
func (r *Repo) ReplacePassword(ctx context.Context, old, password []byte, label string, cost crypt.Argon2) (SlotInfo, error) {
	if bytes.Equal(old, password) {
		return SlotInfo{}, errs.New(errs.Usage, "the new password is the old one")
	}
	r.changing.Lock()
	defer r.changing.Unlock()
	var made *crypt.Slot
	err := r.rekey(ctx, func(slots []*crypt.Slot, k crypt.KEK) ([]*crypt.Slot, error) {
		stale, err := r.opened(slots, Credential{Password: old})
		if err != nil {
			return nil, err
		}
		if len(stale) == 0 {
			return nil, errs.New(errs.WrongKey, "the old password opens no key slot")
		}
		if label == "" {
			label = stale[0].Label
		}
		if made, err = r.newSlot(&Credential{Password: password}, label, cost, k); err != nil {
			return nil, err
		}
		kept, err := r.rewrap(slots, k, func(s *crypt.Slot) bool { return !slices.Contains(stale, s) })
		return append(kept, made), err
	})
	if err != nil {
		return SlotInfo{}, fmt.Errorf("change the password: %w", err)
	}
	return info(made), nil
}

// opened returns the slots that a credential opens.
func (r *Repo) opened(slots []*crypt.Slot, c Credential) (out []*crypt.Slot, err error) {
	u, err := c.unlock()
	if err != nil {
		return nil, err
	}
	for _, s := range slots {
		if !fits(&c, s.Kind) {
			continue
		}
		if _, err := s.Open(u); err == nil {
			out = append(out, s)
		} else if !errors.Is(err, errs.WrongKey) {
			r.warn("the key slot %s does not open: %w", s.Path(), err)
		}
	}
	return out, nil
}
