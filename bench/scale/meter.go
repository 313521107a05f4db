package main

import (
	"runtime"
	"time"

	"github.com/nacre-backup/nacre/bench/internal/proc"
)

// meter collects the phases of a run.
type meter struct{ phases []phase }

// measure runs fn as a phase over n things. What the phase before left to the collector is collected first.
func (m *meter) measure(name string, n int, fn func() error) error {
	runtime.GC()
	ended, highest := make(chan struct{}), make(chan int64)
	go func() { highest <- watch(ended) }()
	cpu, start := proc.CPU(), time.Now()
	err := fn()
	p := phase{Name: name, N: n, CPU: proc.CPU() - cpu, Wall: time.Since(start).Seconds()}
	close(ended)
	p.Anon = <-highest
	m.phases = append(m.phases, p)
	return err
}

// watch returns the highest anonymous memory until ended is closed.
func watch(ended <-chan struct{}) (high int64) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		_, anon := proc.Memory()
		high = max(high, anon)
		select {
		case <-ended:
			return high
		case <-tick.C:
		}
	}
}

// note adds what the last phase left on disk.
func (m *meter) note(bytes int64) {
	p := &m.phases[len(m.phases)-1]
	p.Note = float64(bytes) / float64(p.N)
}
