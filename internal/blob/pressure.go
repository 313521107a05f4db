package blob

import (
	"sync"
	"time"

	"github.com/nacre-backup/nacre/internal/clock"
)

// pressure tells whether a run waits for the store: how long of late the workers took to hand segments over, which
// includes the wait of a full pack for the one before, and how long to compress and seal them. What a segment counts for
// is halved by about 44 more.
type pressure struct {
	mu             sync.Mutex // taken once for each segment
	segments       int
	waited, worked time.Duration
}

// enough is how many segments must have been stored before the times say something.
const enough = 16

// note adds a segment.
func (p *pressure) note(waited, worked time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.segments = min(p.segments+1, enough)
	p.waited += waited - p.waited/64
	p.worked += worked - p.worked/64
}

// high says that the workers waited for at least half as long as they worked. The next level of compression takes about
// that much more time.
func (p *pressure) high() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.segments == enough && p.waited > p.worked/2
}

// Behind reports whether the store takes segments so much more slowly than they are made that a coder which compresses
// harder costs no time.
func (w *Writer) Behind() bool { return w.pressure.high() }

// stopwatch measures one stretch after the other.
type stopwatch struct {
	clock clock.Clock
	last  time.Time
}

// lap returns the time since the last lap.
func (s *stopwatch) lap() time.Duration {
	last := s.last
	s.last = s.clock.Now()
	return s.last.Sub(last)
}
