package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"

	"github.com/nacre-backup/nacre/bench/internal/disk"
	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/index"
	"github.com/nacre-backup/nacre/internal/pack"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/session"
)

// A pack as backups make them: segments of eight chunks of 64 KiB.
const (
	perSegment = 8
	segments   = 64
	perPack    = perSegment * segments
	blobLen    = 64 << 10
	sealedLen  = 200 << 10
)

// lookups is how many blobs are looked up, at most.
const lookups = 500_000

// blobName is the id of blob n, spread like a hash.
func blobName(n uint64) (s id.Short) {
	for i := uint64(0); i < 3; i++ {
		x := (3*n + i + 1) * 0x9e3779b97f4a7c15
		x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], x^x>>31)
		copy(s[8*i:], b[:])
	}
	return s
}

// runBlobs fills an index with n blobs, looks some up that are there and some that are not, and marks in a set of a bit
// for each blob those that are there, as pruning does with what snapshots use.
func runBlobs(ctx context.Context, n int, dir string) (_ []phase, err error) {
	r, _, err := initRepo(ctx, dir)
	if err != nil {
		return nil, err
	}
	s, st, err := session.Begin(ctx, r, session.BeginOptions{Program: "scale"})
	if err != nil {
		return nil, err
	}
	cache := filepath.Join(dir, "cache")
	x, err := index.Open(ctx, r, st, index.Options{CacheDir: cache})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	h, _, err := r.NewHeader(crypt.ClassData)
	if err != nil {
		return nil, err
	}
	var m meter
	err = m.measure("add to the index", n, func() error {
		for from := 0; from < n; from += perPack {
			if err := x.Add(ctx, s, synthetic(s.ID(), h, from, min(n, from+perPack))); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	size, err := disk.Used(cache)
	if err != nil {
		return nil, err
	}
	m.note(size)
	err = look(&m, x, n)
	return m.phases, err
}

// look measures lookups.
func look(m *meter, x *index.Index, n int) error {
	k := min(n, lookups)
	rnd := rand.New(rand.NewPCG(1, 1))
	err := m.measure("look up, there", k, func() error {
		for range k {
			if b := rnd.Uint64N(uint64(n)); !x.Known(blobName(b)) {
				return fmt.Errorf("blob %d is not in the index", b)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = m.measure("look up, not there", k, func() error {
		for range k {
			if x.Known(blobName(uint64(n) + rnd.Uint64())) {
				return errors.New("a blob that was never added is in the index")
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return m.measure("mark a bit", k, func() error {
		bits := make([]uint64, n/64+1)
		for range k {
			at, ok := x.Lookup(blobName(rnd.Uint64N(uint64(n))))
			if !ok {
				return errors.New("a blob is not in the index")
			}
			i := uint64(at.Pack.N)*perPack + uint64(at.Segment)*perSegment + uint64(at.Slot)
			bits[i/64] |= 1 << (i % 64)
		}
		return nil
	})
}

// synthetic is a pack of the blobs from..to that was never stored.
func synthetic(sid id.Session, h *crypt.Header, from, to int) index.Pack {
	d := &pack.Directory{Blobs: make([]pack.Blob, 0, perPack), Segments: make([]pack.Segment, 0, segments)}
	for i := from; i < to; i += perSegment {
		k := uint32(min(to, i+perSegment) - i)
		no := int64(len(d.Segments))
		d.Segments = append(d.Segments, pack.Segment{
			Offset: int64(h.Size()) + no*sealedLen, Len: sealedLen, RawLen: k * blobLen, First: uint32(len(d.Blobs)), Blobs: k,
		})
		for j := range k {
			d.Blobs = append(d.Blobs, pack.Blob{ID: blobName(uint64(i) + uint64(j)), Kind: crypt.KindData, Len: blobLen})
		}
	}
	no := from / perPack
	var name id.Name
	binary.LittleEndian.PutUint64(name[:], uint64(no)+1)
	ref := record.Pack{Class: 'D', Session: sid, N: uint32(no), Size: int64(h.Size()) + segments*sealedLen + 20<<10, Name: name}
	return index.Pack{Ref: ref, Header: h, Dir: d}
}
