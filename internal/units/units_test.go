package units

import (
	"errors"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/nacre-backup/nacre/internal/errs"
)

func TestSizesArePrinted(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{
		0: "0 B", 1: "1 B", 1023: "1023 B", 1024: "1.00 KiB", 1536: "1.50 KiB", 10 << 10: "10.0 KiB", 118 << 20: "118 MiB",
		1<<20 - 1: "1.00 MiB", 1 << 40: "1.00 TiB", math.MaxInt64: "8.00 EiB", -2048: "-2.00 KiB", math.MinInt64: "-8.00 EiB",
	} {
		if got := Bytes(n); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}

func TestSizesAreRead(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]int64{
		"0": 0, "4096": 4096, "10k": 10 << 10, "10K": 10 << 10, "500M": 500 << 20, "500MiB": 500 << 20, "500 MiB": 500 << 20,
		"500MB": 500_000_000, "1.5G": 3 << 29, "7B": 7, "2t": 2 << 40, "1E": 1 << 60,
	} {
		if got, err := ParseBytes(s); err != nil || got != want {
			t.Errorf("%q: got %d, %v; want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "M", "-1", "1X", "1KiBB", "1.2.3", "9E", "ten", "1e3"} {
		if got, err := ParseBytes(s); !errors.Is(err, errs.Usage) {
			t.Errorf("%q: got %d, %v; want a usage error", s, got, err)
		}
	}
}

func TestPrintedSizesAreReadAsNearlyTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(0, 1<<60).Draw(t, "n")
		got, err := ParseBytes(Bytes(n))
		if err != nil || math.Abs(float64(got-n)) > float64(n)*0.006 {
			t.Fatalf("%d is printed as %s and read as %d, %v", n, Bytes(n), got, err)
		}
	})
}

func TestCountsHaveCommas(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234: "-1,234"} {
		if got := Count(n); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
	if got := Count(uint64(math.MaxUint64)); got != "18,446,744,073,709,551,615" {
		t.Errorf("the largest number: got %q", got)
	}
}

func TestDurationsArePrinted(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0.0 s", 340 * time.Millisecond: "0.3 s", 12 * time.Second: "12 s", 245 * time.Second: "4 min 05 s",
		3*time.Hour + 10*time.Minute: "3 h 10 min", 52 * time.Hour: "2 d 04 h", -time.Minute: "-1 min 00 s",
		9990 * time.Millisecond: "10 s", 59600 * time.Millisecond: "1 min 00 s",
	} {
		if got := Duration(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}

func TestDurationsAreRead(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "1h30m": 90 * time.Minute, "7d": 7 * 24 * time.Hour, "2w": 14 * 24 * time.Hour, "0": 0,
	} {
		if got, err := ParseDuration(s); err != nil || got != want {
			t.Errorf("%q: got %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "d", "5", "5x", "99999999w"} {
		if _, err := ParseDuration(s); !errors.Is(err, errs.Usage) {
			t.Errorf("%q: got %v, want a usage error", s, err)
		}
	}
}

func TestTimesAreRead(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("", 3600)
	want := time.Date(2026, 11, 1, 14, 30, 0, 0, zone)
	for _, s := range []string{"2026-11-01 14:30", "2026-11-01T14:30:00", "2026-11-01T13:30:00Z", "2026-11-01T14:30:00+01:00"} {
		if got, err := ParseTime(s, zone); err != nil || !got.Equal(want) {
			t.Errorf("%q: got %v, %v", s, got, err)
		}
	}
	if _, err := ParseTime("yesterday", zone); !errors.Is(err, errs.Usage) {
		t.Errorf("got %v, want a usage error", err)
	}
	if got := Moment(want); got != "2026-11-01 14:30:00 +0100" {
		t.Errorf("got %q", got)
	}
}
