package blob

import (
	"context"
	"testing"
	"time"
)

func TestAWriterIsBehindWhileMostPacksWaitForTheStore(t *testing.T) {
	t.Parallel()
	w := newEnv(t).begin(t).w
	defer func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}()
	nothing := func(context.Context) error { return nil }
	// A store that takes one pack after the other at once is never behind.
	for range 20 {
		w.background(nothing)
		w.tasks.Wait()
		if w.Behind() {
			t.Fatal("the writer is behind, though no pack had to wait")
		}
	}
	// One that holds on to a pack while the next ones are finished is.
	slow, done := make(chan struct{}), make(chan struct{})
	w.background(func(context.Context) error { <-slow; return nil })
	for range 5 {
		go func() {
			w.background(nothing)
			done <- struct{}{}
		}()
	}
	for !w.Behind() {
		time.Sleep(time.Millisecond)
	}
	close(slow)
	for range 5 {
		<-done
	}
	w.tasks.Wait()
	// And it is no more once packs go through again.
	for range 8 {
		w.background(nothing)
		w.tasks.Wait()
	}
	if w.Behind() {
		t.Error("the writer is behind, though the last eight packs did not wait")
	}
}

func TestFourOfEightPacksAreNotMost(t *testing.T) {
	t.Parallel()
	var p pressure
	for i := range 20 {
		p.note(i%2 == 0)
		if p.high() {
			t.Fatalf("after %d packs, of which every second one waited", i+1)
		}
	}
	p.note(true)
	p.note(true)
	if !p.high() {
		t.Error("five of eight are not most")
	}
}
