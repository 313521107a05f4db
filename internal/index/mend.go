package index

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/session"
)

// gap is what the index objects that are there do not tell of. Whoever has no cache reads the directories of its packs
// one by one, each time, until Mend closes it.
type gap struct {
	lost  []id.Name     // index objects that committed fates name and that are gone or damaged
	packs []record.Pack // usable packs of which no other index object is known to tell: 80 bytes each
}

// damaged notes that an index object is there and damaged. One of a later version, or under a key that this client has
// not got yet, others can read.
func (s *syncer) damaged(name id.Name, err error) {
	if !errors.Is(err, errs.Corrupt) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.present[name] = false
}

// told notes which source told of a pack. s.mu is held, or nobody else uses s.
func (s *syncer) told(p record.Pack, source id.Name) {
	l := s.k.packs[s.k.hash(p)]
	switch {
	case l == nil:
	case source == (id.Name{}):
		if l.usable {
			s.untold = append(s.untold, p)
		}
	case s.k.trusted[source] && s.present[source]:
		l.covered |= coveredObject
	}
}

// findGap works out what the index objects in the store do not tell of.
//
// A fate's index objects together tell of all its packs, so packs of a fate whose objects are all there are told of.
// Of others the runs know which object told of them, unless this machine read the pack's own directory, or stored the
// pack itself: such a pack may be told of twice afterwards, which does no harm.
func (s *syncer) findGap() (gap, error) {
	var g gap
	for _, n := range s.k.state.CommittedIndexes() {
		if !s.present[n] {
			g.lost = append(g.lost, n)
		}
	}
	if len(g.lost) == 0 {
		g.packs = slices.DeleteFunc(s.untold, func(p record.Pack) bool {
			return s.k.packs[s.k.hash(p)].covered&coveredObject != 0
		})
		slices.SortFunc(g.packs, comparePacks)
		return g, nil
	}
	if err := s.coverFates(); err != nil {
		return g, err
	}
	for _, p := range s.untold {
		s.k.list(p).covered &^= coveredObject
	}
	for _, r := range s.runs {
		for i := range uint32(r.packs) {
			p := r.pack(i)
			if source := r.source(p.source); source != (id.Name{}) {
				s.told(p.ref, source)
			}
		}
	}
	for _, l := range s.k.packs {
		if l.usable && l.covered&coveredObject == 0 {
			g.packs = append(g.packs, l.ref)
		}
	}
	slices.SortFunc(g.packs, comparePacks)
	return g, nil
}

// coverFates notes that the packs of a fate whose index objects are all there are told of.
func (s *syncer) coverFates() error {
	lost := func(n id.Name) bool { return !s.k.trusted[n] || !s.present[n] }
	return s.k.state.Fates(func(f *session.Fate) error {
		if !f.Committed() || len(f.Indexes) == 0 || slices.ContainsFunc(f.Indexes, lost) {
			return nil
		}
		for _, p := range f.Packs {
			s.k.list(p).covered |= coveredObject
		}
		return nil
	})
}

// Mend puts index objects for the packs of which none in the store tells any more, since some were lost or damaged, and
// gives their names to the session in place of those: from its commit on, nobody needs to read the packs' directories
// one by one. Call it before a commit. Nothing rests on it, so that its failure is no reason to fail a run. It holds
// the directories for one index object in memory, as Add does.
func (x *Index) Mend(ctx context.Context, s *session.Session) error {
	return x.mend(ctx, s, objectBytes)
}

func (x *Index) mend(ctx context.Context, s *session.Session, limit int) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	var batch []Pack
	size := 0
	put := func(replaces ...id.Name) error {
		if len(batch) == 0 {
			return nil
		}
		name, err := x.putObject(ctx, batch)
		if err != nil {
			return err
		}
		// The runs do not note the object as read: the next sync reads it, since what they have from the lost ones
		// serves no claims any more.
		s.AddIndex(name, replaces...)
		batch, size = nil, 0
		return nil
	}
	here := x.repo.Domain().Scope() // an index object is of one domain
	err := x.readPacks(ctx, x.gap.packs, func(p Pack) error {
		if p.Header.Domain != here {
			return nil
		}
		if len(batch) > 0 && size+len(p.Body) > limit {
			if err := put(); err != nil {
				return err
			}
		}
		batch = append(batch, Pack{Ref: p.Ref, Header: p.Header, Body: p.Body})
		size += len(p.Body)
		return nil
	})
	if err == nil {
		err = put(x.gap.lost...)
	}
	if err != nil {
		return fmt.Errorf("write index objects anew: %w", err)
	}
	x.gap = gap{}
	return nil
}
