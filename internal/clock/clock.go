// Package clock is about time and randomness as things that are handed in, so that the whole program can run in a
// simulation. No other room asks the system for the time or for random bytes.
package clock

import (
	"context"
	"crypto/rand"
	"io"
	"time"
)

// Clock tells the time and waits.
type Clock interface {
	// Now returns the present wall-clock time. No decision about safety depends on it.
	Now() time.Time
	// Sleep waits for d or until ctx ends; it returns ctx's error in that case.
	Sleep(ctx context.Context, d time.Duration) error
}

// Rand is a source of random bytes: crypto/rand in the program, seeded in a simulation. Read always fills p.
type Rand = io.Reader

// System is the machine's own clock.
type System struct{}

// Now returns time.Now.
func (System) Now() time.Time { return time.Now() }

// Sleep waits for d or for the end of ctx.
func (System) Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Random is the machine's cryptographic source of random bytes.
var Random Rand = rand.Reader
