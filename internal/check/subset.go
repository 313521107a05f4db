package check

import (
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/units"
)

// Subset says which packs are read: one part of Parts (the same packs each time, and all of them once every part was
// read), or a random Percent of them, or random ones of Bytes in all. At most one is set; the zero value is all packs.
type Subset struct {
	Part, Parts int
	Percent     float64
	Bytes       int64
}

// ParseSubset reads "1/7", "10%" or "500M".
func ParseSubset(s string) (Subset, error) {
	bad := errs.WithHint(errs.New(errs.Usage, "part of the data %q: not understood", s), "give 10%%, 1/7 or 500M")
	if part, parts, ok := strings.Cut(s, "/"); ok {
		p, err := strconv.Atoi(part)
		n, nerr := strconv.Atoi(parts)
		if err != nil || nerr != nil || p < 1 || n < p || n > 1<<20 {
			return Subset{}, bad
		}
		return Subset{Part: p, Parts: n}, nil
	}
	if percent, ok := strings.CutSuffix(s, "%"); ok {
		f, err := strconv.ParseFloat(percent, 64)
		if err != nil || !(f > 0 && f <= 100) {
			return Subset{}, bad
		}
		return Subset{Percent: f}, nil
	}
	n, err := units.ParseBytes(s)
	if err != nil || n <= 0 {
		return Subset{}, bad
	}
	return Subset{Bytes: n}, nil
}

// choose returns the packs to read. random gives a number below n.
func (s Subset) choose(packs []record.Pack, random func(n int) (int, error)) ([]record.Pack, error) {
	switch {
	case s.Parts > 0:
		var out []record.Pack
		for _, p := range packs {
			// The name is a hash, so that the parts are of about one size.
			if binary.LittleEndian.Uint64(p.Name[:8])%uint64(s.Parts) == uint64(s.Part-1) {
				out = append(out, p)
			}
		}
		return out, nil
	case s.Percent == 0 && s.Bytes == 0:
		return packs, nil
	}
	left := len(packs)
	if s.Percent > 0 {
		left = min(len(packs), max(1, int(float64(len(packs))*s.Percent/100+0.5)))
	}
	bytes := s.Bytes
	for i := range packs {
		if left == 0 || s.Bytes > 0 && bytes <= 0 {
			return packs[:i], nil
		}
		j, err := random(len(packs) - i)
		if err != nil {
			return nil, err
		}
		packs[i], packs[i+j] = packs[i+j], packs[i]
		bytes -= packs[i].Size
		left--
	}
	return packs, nil
}
