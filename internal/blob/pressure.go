package blob

import (
	"math/bits"
	"sync/atomic"
)

// pressure tells whether the store is what a run waits for: it remembers of the last eight finished packs which of
// them found the one before still on its way into the store.
type pressure struct{ last atomic.Uint32 }

func (p *pressure) note(waits bool) {
	for {
		old := p.last.Load()
		now := old << 1 & 0xff
		if waits {
			now |= 1
		}
		if p.last.CompareAndSwap(old, now) {
			return
		}
	}
}

// high says that most of them did.
func (p *pressure) high() bool { return bits.OnesCount32(p.last.Load()) > 4 }

// Behind reports whether the store takes packs more slowly than they are made: most of the last eight had to wait for
// the one before. A coder that compresses harder then costs no time.
func (w *Writer) Behind() bool { return w.pressure.high() }
