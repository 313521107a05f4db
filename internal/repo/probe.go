package repo

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/store"
)

// probes is where Init tries the store out.
const probes = "probe/"

// A store is told to be of the atomic class after so many races of so many creators, each of which had one winner.
const (
	raceRounds = 5
	racers     = 16
)

// probe finds out the store's class: whether what was put is read and listed at once, and whether one of several
// racing creators wins. What it put it deletes again; a store that deletes nothing keeps a few dozen bytes.
func (r *Repo) probe(ctx context.Context) (crypt.StoreClass, error) {
	var tag [8]byte
	if _, err := io.ReadFull(r.rand, tag[:]); err != nil {
		return 0, fmt.Errorf("draw the probe's name: %w", err)
	}
	folder := probes + hex.EncodeToString(tag[:]) + "/"
	if err := r.probeReads(ctx, folder); err != nil {
		return 0, err
	}
	class := crypt.StoreAtomic
	for i := range raceRounds {
		ok, err := r.race(ctx, fmt.Sprintf("%srace-%d", folder, i))
		if err != nil {
			return 0, err
		}
		if !ok {
			class = crypt.StoreRegister
			break
		}
	}
	names, err := r.list(ctx, folder)
	if err != nil {
		return 0, err
	}
	for _, n := range names {
		if err := r.store.Delete(ctx, folder+n); err != nil && !errors.Is(err, errs.Denied) {
			return 0, fmt.Errorf("delete the probe %s: %w", folder+n, err)
		}
	}
	return class, nil
}

// probeReads checks read-after-write and list-after-write.
func (r *Repo) probeReads(ctx context.Context, folder string) error {
	for i := range 3 {
		name := fmt.Sprintf("read-%d", i)
		want := []byte("nacre probe " + name)
		if err := r.put(ctx, folder+name, want); err != nil {
			return err
		}
		got, err := r.get(ctx, folder+name, int64(len(want)))
		if err != nil && !errors.Is(err, errs.NotFound) {
			return err
		}
		names, lerr := r.list(ctx, folder)
		if lerr != nil {
			return lerr
		}
		if err != nil || !bytes.Equal(got, want) || !slices.Contains(names, name) {
			return errs.WithHint(errs.New(errs.Unsupported, "the store does not show at once what was stored"),
				"such a store is not supported; put the repository elsewhere")
		}
	}
	return nil
}

// race lets several creators race for one name. It reports whether exactly one won and its bytes are there.
func (r *Repo) race(ctx context.Context, name string) (bool, error) {
	var create store.PutIfAbsenter
	if !store.As(r.store, &create) {
		return false, nil
	}
	var wg sync.WaitGroup
	results := make([]error, racers)
	for i := range racers {
		wg.Go(func() {
			results[i] = create.PutIfAbsent(ctx, name, store.Bytes(fmt.Sprintf("racer %d", i)))
		})
	}
	wg.Wait()
	winner, winners := 0, 0
	for i, err := range results {
		switch {
		case err == nil:
			winner = i
			winners++
		case errors.Is(err, errs.Unsupported):
			return false, nil
		case !errors.Is(err, errs.Exists):
			return false, fmt.Errorf("create %s: %w", name, err)
		}
	}
	if winners != 1 {
		return false, nil
	}
	got, err := r.get(ctx, name, 64)
	if err != nil {
		return false, err
	}
	return string(got) == fmt.Sprintf("racer %d", winner), nil
}
