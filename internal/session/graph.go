package session

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/record"
)

// headsFile is this machine's memory of the heads it saw: a line "<sid> <hash>" for each.
const headsFile = "heads"

// checkGraph looks for fates that others, or this machine's memory, name and that are not there, and remembers the
// present heads. A fate that repair has moved to quarantine/ is accounted for.
func (s *State) checkGraph(ctx context.Context, ops Ops) error {
	remembered := s.remembered()
	var alarms []Alarm
	look := func(h record.Head, by string) {
		if f := s.fates[h.Session]; f == nil && !s.unreadable[h.Session] || f != nil && f.Hash != h.Hash {
			alarms = append(alarms, Alarm{Session: h.Session, Hash: h.Hash, NamedBy: by})
		}
	}
	for sid, f := range s.fates {
		if f.Committed() {
			for _, h := range f.Heads {
				look(h, sid.String())
			}
		}
	}
	for _, h := range remembered {
		look(h, Memory)
	}
	if len(alarms) > 0 {
		moved, err := s.quarantined(ctx, ops)
		if err != nil {
			return err
		}
		for _, a := range alarms {
			late, err := s.late(ctx, ops, a.Session)
			if err != nil {
				return err
			}
			if !late && !moved[a.Session] {
				s.alarms = append(s.alarms, a)
			}
		}
		slices.SortFunc(s.alarms, func(a, b Alarm) int {
			return strings.Compare(a.Session.String()+a.NamedBy, b.Session.String()+b.NamedBy)
		})
	}
	s.rememberHeads(remembered)
	return nil
}

// lateEras is in how many eras, from the open one down, a fate is looked for that the listing left out.
const lateEras = 64

// late says that a fate is there which the listing did not show: a listing that takes its time may show a fate and
// leave out an earlier one, if both came after it began. Such a fate is of the open era, or of one not far below.
func (s *State) late(ctx context.Context, ops Ops, sid id.Session) (bool, error) {
	if s.fates[sid] != nil {
		return false, nil // it was shown, with other bytes
	}
	for below := range min(uint64(s.era)+1, lateEras) {
		_, err := ops.Stat(ctx, record.FatePath(s.era-uint32(below), sid))
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, errs.NotFound) {
			return false, err
		}
	}
	return false, nil
}

// quarantined lists the sessions whose fates repair moved away.
func (s *State) quarantined(ctx context.Context, ops Ops) (map[id.Session]bool, error) {
	names, err := ops.List(ctx, record.Quarantine+record.Fates)
	if err != nil {
		return nil, err
	}
	moved := map[id.Session]bool{}
	for _, i := range names {
		if p := record.ParsePlace(strings.TrimPrefix(i.Name, record.Quarantine)); p.Kind == record.FateObject {
			moved[p.Session] = true
		}
	}
	return moved, nil
}

// remembered reads this machine's memory. What cannot be read is not remembered: the memory is a hint.
func (s *State) remembered() []record.Head {
	b, err := s.repo.LoadState(headsFile)
	if err != nil {
		return nil
	}
	var out []record.Head
	for line := range strings.Lines(string(b)) {
		sid, hash, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			continue
		}
		var h record.Head
		if h.Session, err = id.ParseSession(sid); err != nil {
			continue
		}
		if h.Hash, err = id.ParseName(hash); err != nil {
			continue
		}
		out = append(out, h)
	}
	return out
}

// rememberHeads writes the present heads down, and those of the old memory that are missing, so that their alarm
// stays until they are there again or accounted for.
func (s *State) rememberHeads(old []record.Head) {
	keep := slices.Clone(s.heads)
	for _, a := range s.alarms {
		if a.NamedBy == Memory { // it is no present head: those are there
			keep = append(keep, record.Head{Session: a.Session, Hash: a.Hash})
		}
	}
	if slices.Equal(keep, old) {
		return
	}
	var b strings.Builder
	for _, h := range keep {
		b.WriteString(h.Session.String() + " " + hex.EncodeToString(h.Hash[:]) + "\n")
	}
	// A state folder that cannot be written keeps nobody from reading; the next run has an older memory.
	_ = s.repo.SaveState(headsFile, []byte(b.String()))
}
