// Package chance is about randomness that is the same in every run of a test.
package chance

import (
	"math/rand/v2"
	"sync"

	"github.com/nacre-backup/nacre/internal/clock"
)

// New makes a source of random bytes, the same for the same seed. Several goroutines may read it.
func New(seed [32]byte) clock.Rand { return &source{gen: rand.NewChaCha8(seed)} }

type source struct {
	mu  sync.Mutex
	gen *rand.ChaCha8
}

func (s *source) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gen.Read(p)
}
