package repo

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
)

// Writer is this machine's writer, which signs its control objects. It is made and enrolled at first use; its key
// lies in the state folder with mode 0600, and a lost key means a new writer. A key that the keyring has lost is
// enrolled again, which makes everything it signed count again.
func (r *Repo) Writer(ctx context.Context) (*crypt.Signer, error) {
	if s := r.readyWriter(); s != nil {
		return s, nil
	}
	r.changing.Lock()
	defer r.changing.Unlock()
	if s := r.readyWriter(); s != nil {
		return s, nil
	}
	if r.ReadOnly() {
		return nil, errs.WithHint(errs.New(errs.Unsupported, "the repository uses a feature that this program cannot write"),
			"use the version of the program that made the repository, or a later one")
	}
	seed, ok, err := r.state.writerSeed()
	if err == nil && !ok {
		seed, err = r.state.newWriterSeed(r.rand)
	}
	if err != nil {
		return nil, err
	}
	s := crypt.NewSigner(seed)
	if err := r.enrol(ctx, s); err != nil {
		return nil, fmt.Errorf("enrol this machine's writer %s: %w", s.Writer(), err)
	}
	r.mu.Lock()
	r.signer = s
	r.mu.Unlock()
	return s, nil
}

// readyWriter is the signer, or nil before it was made.
func (r *Repo) readyWriter() *crypt.Signer {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.signer
}

// KnownWriter is the id of this machine's writer, and false where it has none yet. It makes nothing.
func (r *Repo) KnownWriter() (id.Writer, bool) {
	if s := r.readyWriter(); s != nil {
		return s.Writer(), true
	}
	seed, ok, err := r.state.writerSeed()
	if err != nil || !ok {
		return id.Writer{}, false
	}
	return crypt.NewSigner(seed).Writer(), true
}

// enrol sees to it that the keyring has the writer with its rights.
func (r *Repo) enrol(ctx context.Context, s *crypt.Signer) error {
	pub := s.Public()
	has := func(g *crypt.Ring) (bool, error) {
		i := slices.IndexFunc(g.Writers, func(w crypt.RingWriter) bool { return bytes.Equal(w.Public, pub) })
		if i >= 0 && g.Writers[i].Revoked {
			return false, errs.WithHint(errs.New(errs.Denied, "the writer was revoked"),
				"remove the file %q in the state folder %s to enrol a new one, if you may", writerFile, r.state.dir)
		}
		return i >= 0, nil
	}
	if ok, err := has(r.Ring()); ok || err != nil {
		return err
	}
	return r.change(ctx, func(g *crypt.Ring) (bool, error) {
		if ok, err := has(g); ok || err != nil {
			return false, err
		}
		g.Writers = append(g.Writers, crypt.RingWriter{
			Public: pub, Rights: crypt.RightWrite | crypt.RightPrune, Label: r.label, Domain: g.Domains[0].ID,
			Created: r.now(),
		})
		return true, nil
	})
}
