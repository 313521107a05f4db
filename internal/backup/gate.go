package backup

import "sync"

// gate lets a checkpoint stop all workers between two pieces of work: they hold it shared while they use their
// segments, the checkpoint holds it alone. A worker never waits for another one while it holds the gate.
type gate struct{ mu sync.RWMutex }

func (g *gate) enter() { g.mu.RLock() }
func (g *gate) leave() { g.mu.RUnlock() }

// alone runs fn while no worker holds the gate.
func (g *gate) alone(fn func() error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return fn()
}
