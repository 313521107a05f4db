package index

import (
	"slices"
	"sync"

	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/record"
)

const shardCount = 256

// pending stands in the place of a pack's number while the blob is claimed and its pack is not finished.
const pending = ^uint32(0)

// shard is a part of the session's own blobs, by the first byte of the id.
type shard struct {
	mu sync.Mutex
	m  map[id.Short]place // place.pack counts in Index.ownPacks
}

// view is a run as one state of the repository shows it.
type view struct {
	*run
	states []packState // by pack number
}

// wasteful reports whether most packs of a run are good for nothing any more.
func (v *view) wasteful() bool {
	ignored := 0
	for _, s := range v.states {
		if s&stateIgnored != 0 {
			ignored++
		}
	}
	return 2*ignored > len(v.states)
}

// Claim asks whether a blob needs to be stored, and takes on storing it, in one step. known means that it stands in a
// usable pack that a committed index object or the pack itself told of, or that it was claimed before by this Index; of
// several that ask at once for a new blob exactly one is told known = false and must store it.
func (x *Index) Claim(s id.Short) (known bool) {
	for {
		moved := x.moved.Load()
		if x.claimable(s) {
			return true
		}
		sh := &x.shards[s[0]]
		sh.mu.Lock()
		_, known = sh.m[s]
		if !known && x.moved.Load() != moved {
			sh.mu.Unlock() // own blobs have just moved into a run: it may be among them
			continue
		}
		if !known {
			if sh.m == nil {
				sh.m = make(map[id.Short]place)
			}
			sh.m[s] = place{pack: pending}
			x.distrusted.stored(s)
		}
		sh.mu.Unlock()
		return known
	}
}

// Known reports what Claim would say, and claims nothing.
func (x *Index) Known(s id.Short) bool {
	for {
		moved := x.moved.Load()
		if x.claimable(s) {
			return true
		}
		sh := &x.shards[s[0]]
		sh.mu.Lock()
		_, known := sh.m[s]
		sh.mu.Unlock()
		if known || x.moved.Load() == moved {
			return known
		}
	}
}

// claimable reports whether a run tells of s in a pack that serves claims. A damaged block tells of nothing: its blobs
// are stored again.
func (x *Index) claimable(s id.Short) (found bool) {
	if x.distrusted.has(s) {
		return false
	}
	for _, v := range *x.views.Load() {
		err := v.find(&s, func(p place) bool {
			found = v.state(p.pack)&(stateClaims|stateIgnored) == stateClaims
			return !found
		})
		if err == nil && found {
			return true
		}
	}
	return false
}

// state of a pack; a number outside the table, which only a damaged row has, is good for nothing.
func (v *view) state(pack uint32) packState {
	if uint64(pack) >= uint64(len(v.states)) {
		return stateIgnored
	}
	return v.states[pack]
}

// Lookup returns the best copy of a blob for reading: in a usable pack if there is one.
func (x *Index) Lookup(s id.Short) (Location, bool) {
	var buf [4]Location
	if all := x.Copies(buf[:0], s); len(all) > 0 {
		return all[0], true
	}
	return Location{}, false
}

// Copies appends every known copy of a blob to dst, the best first: those in usable packs, then those in packs that are
// condemned or of sessions without a committed fate.
func (x *Index) Copies(dst []Location, s id.Short) []Location {
	base, best := len(dst), len(dst) // what is between them is in usable packs
	moved := x.moved.Load()
	for _, v := range *x.views.Load() {
		// A damaged block tells of nothing; whoever misses a blob calls Refresh, which makes the run anew.
		_ = v.find(&s, func(p place) bool {
			state := v.state(p.pack)
			if state&stateIgnored != 0 {
				return true
			}
			e := v.pack(p.pack)
			loc := Location{Pack: e.ref, Segment: p.segment, Slot: p.slot, RawLen: p.rawLen}
			if state&stateUsable != 0 {
				dst = slices.Insert(dst, best, loc)
				best++
			} else {
				dst = append(dst, loc)
			}
			return true
		})
	}
	sh := &x.shards[s[0]]
	sh.mu.Lock()
	p, ok := sh.m[s]
	sh.mu.Unlock()
	if ok && p.pack != pending {
		own := (*x.ownPacks.Load())[p.pack]
		return slices.Insert(dst, base, Location{Pack: own, Segment: p.segment, Slot: p.slot, RawLen: p.rawLen})
	}
	if len(dst) == base && x.moved.Load() != moved {
		return x.Copies(dst, s)
	}
	return dst
}

// publish makes the places of the blobs of an own pack known.
func (x *Index) publish(p *Pack) {
	var packs []record.Pack
	if old := x.ownPacks.Load(); old != nil {
		packs = *old
	}
	n := uint32(len(packs))
	packs = append(packs, p.Ref) // readers of the old slice see its old length only
	x.ownPacks.Store(&packs)
	for i, seg := range p.Dir.Segments {
		for j, b := range p.Dir.Blobs[seg.First:][:seg.Blobs] {
			sh := &x.shards[b.ID[0]]
			sh.mu.Lock()
			if sh.m == nil {
				sh.m = make(map[id.Short]place)
			}
			sh.m[b.ID] = place{pack: n, segment: uint32(i), slot: uint16(j), rawLen: b.Len}
			sh.mu.Unlock()
		}
	}
}

// unpublish forgets the places of rows that a published run holds now.
func (x *Index) unpublish(rows []row) {
	x.moved.Add(1)
	for i := range rows {
		s := rows[i].id()
		sh := &x.shards[s[0]]
		sh.mu.Lock()
		if p, ok := sh.m[s]; ok && p.pack != pending {
			delete(sh.m, s)
		}
		sh.mu.Unlock()
	}
}
