// Package units is about how people write sizes, durations, counts and times, both ways.
//
// Sizes are printed in binary units (1 KiB is 1,024 bytes). When read, K, M, G and so on, alone or with "iB", are
// binary; with "B" they are decimal, as written on the box of a disk: 500M = 500MiB = 524,288,000 bytes, 500MB =
// 500,000,000 bytes.
package units

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/nacre-backup/nacre/internal/errs"
)

const prefixes = "KMGTPE"

// Bytes prints a size with three or four significant digits: "0 B", "999 B", "1.5 KiB", "118 MiB".
func Bytes(n int64) string {
	if n < 0 {
		return "-" + Bytes(-max(n, -math.MaxInt64))
	}
	if n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	v, i := float64(n)/1024, 0
	for ; v >= 1023.5 && i < len(prefixes)-1; i++ {
		v /= 1024
	}
	digits := 2
	switch {
	case v >= 99.95:
		digits = 0
	case v >= 9.995:
		digits = 1
	}
	return fmt.Sprintf("%.*f %ciB", digits, v, prefixes[i])
}

// ParseBytes reads a size: "0", "4096", "10k", "1.5 GiB", "500MB".
func ParseBytes(s string) (int64, error) {
	number, unit := split(s)
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || v < 0 {
		return 0, errs.New(errs.Usage, "size %q: want a number with an optional unit, as in 500M or 1.5GiB", s)
	}
	factor, ok := factorOf(unit)
	if !ok {
		return 0, errs.New(errs.Usage, "size %q: unit %q is not known; units are K, M, G, T, P and E", s, unit)
	}
	if v *= factor; v >= math.MaxInt64 {
		return 0, errs.New(errs.Usage, "size %q: too large", s)
	}
	return int64(math.Round(v)), nil
}

func factorOf(unit string) (float64, bool) {
	u := strings.ToUpper(unit)
	if u == "" || u == "B" {
		return 1, true
	}
	i := strings.IndexByte(prefixes, u[0])
	if i < 0 {
		return 0, false
	}
	switch u[1:] {
	case "", "IB":
		return math.Pow(1024, float64(i+1)), true
	case "B":
		return math.Pow(1000, float64(i+1)), true
	}
	return 0, false
}

// split parts a number from the unit behind it.
func split(s string) (number, unit string) {
	s = strings.TrimSpace(s)
	end := 0
	for end < len(s) && (s[end] >= '0' && s[end] <= '9' || s[end] == '.') {
		end++
	}
	return s[:end], strings.TrimSpace(s[end:])
}

// Count prints a number with commas between thousands.
func Count[T ~int | ~int64 | ~uint64 | ~uint32](n T) string {
	s := strconv.FormatUint(uint64(max(n, 0)), 10)
	if n < 0 {
		s = strconv.FormatUint(uint64(-int64(n)), 10)
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if n < 0 {
		return "-" + s
	}
	return s
}

// Duration prints a duration with two units at most: "0.3 s", "12 s", "4 min 05 s", "3 h 10 min", "2 d 04 h".
func Duration(d time.Duration) string {
	s := int64(d.Round(time.Second) / time.Second)
	switch {
	case d < 0:
		return "-" + Duration(-max(d, -math.MaxInt64))
	case d < 9950*time.Millisecond:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return fmt.Sprintf("%d min %02d s", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%d h %02d min", s/3600, s/60%60)
	}
	return fmt.Sprintf("%d d %02d h", s/86400, s/3600%24)
}

// ParseDuration reads what time.ParseDuration reads, and days and weeks: "90s", "1h30m", "7d", "2w".
func ParseDuration(s string) (time.Duration, error) {
	number, unit := split(s)
	if unit == "d" || unit == "w" {
		v, err := strconv.ParseFloat(number, 64)
		if unit == "w" {
			v *= 7
		}
		if v *= float64(24 * time.Hour); err == nil && v < math.MaxInt64 {
			return time.Duration(v), nil
		}
	} else if d, err := time.ParseDuration(strings.TrimSpace(s)); err == nil {
		return d, nil
	}
	return 0, errs.New(errs.Usage, "duration %q: want for instance 90s, 5m, 1h30m, 7d or 2w", s)
}

var layouts = []string{
	"2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02",
}

// ParseTime reads a moment: RFC 3339, or a date with an optional time of day in the zone loc. A date alone is its
// first moment.
func ParseTime(s string, loc *time.Location) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, nil
	}
	for _, l := range layouts {
		if t, err := time.ParseInLocation(l, s, loc); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errs.New(errs.Usage, "time %q: want for instance 2026-11-01, \"2026-11-01 14:30\" or 2026-11-01T14:30:00Z", s)
}

// Moment prints a time for people, with its offset: "2026-11-01 14:30:00 +0100".
func Moment(t time.Time) string { return t.Format("2006-01-02 15:04:05 -0700") }
