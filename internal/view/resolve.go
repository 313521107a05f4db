package view

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/session"
)

// minPrefix is how many digits of an id stand for it at least.
const minPrefix = 4

// AmbiguousError says that a prefix stands for several snapshots.
type AmbiguousError struct {
	Name       string
	Candidates []*session.Snapshot // oldest first
}

func (e *AmbiguousError) Error() string {
	const show = 5
	var b strings.Builder
	fmt.Fprintf(&b, "%q stands for %d snapshots:", e.Name, len(e.Candidates))
	for i, s := range e.Candidates {
		if i == show {
			b.WriteString(" and more")
			break
		}
		fmt.Fprintf(&b, " %s", s.ID)
		if s.Record.Name != "" {
			fmt.Fprintf(&b, " (%s)", s.Record.Name)
		}
	}
	return b.String()
}

// Resolve finds the snapshot that a user names:
//
//	latest, latest~2      the newest one, the second before it
//	NAME, NAME~1          the newest one of that name, the one before
//	4f2a..., NAM...       a prefix of one id, of at least 4 digits, or of one name
//	@2026-11-01           the newest one that is not younger than that moment: a year, a month or a day (its end), or a
//	                      time as in 2026-11-01T12:00 or RFC 3339, in the clock's zone where it says none
//
// A whole id also finds a checkpoint. It is errs.NotFound where there is none; *AmbiguousError lists the candidates of a
// prefix.
func (v *View) Resolve(name string) (*session.Snapshot, error) {
	all := v.Snapshots()
	if moment, ok := strings.CutPrefix(name, "@"); ok {
		return v.at(all, name, moment)
	}
	if s := named(all, name, 0); s != nil {
		return s, nil
	}
	if base, back, ok := cutBack(name); ok {
		if s := named(all, base, back); s != nil {
			return s, nil
		}
		return nil, notFound(all, name)
	}
	if sid, err := id.ParseSession(name); err == nil {
		if s, ok := v.State().Snapshot(sid); ok {
			if s.Tombstone != nil || v.State().Tombstoned(sid) {
				return nil, errs.New(errs.NotFound, "snapshot %s is forgotten", name)
			}
			return s, nil
		}
		return nil, notFound(all, name)
	}
	found := beginning(all, name)
	switch len(found) {
	case 0:
		return nil, notFound(all, name)
	case 1:
		return found[0], nil
	}
	return nil, &AmbiguousError{Name: name, Candidates: found}
}

// beginning returns the snapshots whose id or name begins with a prefix.
func beginning(all []*session.Snapshot, prefix string) (found []*session.Snapshot) {
	for _, s := range all {
		byID := len(prefix) >= minPrefix && strings.HasPrefix(s.ID.String(), strings.ToLower(prefix))
		if byID || prefix != "" && strings.HasPrefix(s.Record.Name, prefix) {
			found = append(found, s)
		}
	}
	return found
}

// named returns the snapshot that stands back places before the newest of that name; "latest" is the name of all.
func named(all []*session.Snapshot, name string, back int) *session.Snapshot {
	if name == "" {
		return nil
	}
	for i := len(all) - 1; i >= 0; i-- {
		if name != "latest" && all[i].Record.Name != name {
			continue
		}
		if back == 0 {
			return all[i]
		}
		back--
	}
	return nil
}

// cutBack takes NAME~2 apart.
func cutBack(name string) (base string, back int, ok bool) {
	i := strings.LastIndexByte(name, '~')
	if i < 0 {
		return "", 0, false
	}
	back, err := strconv.Atoi(name[i+1:])
	return name[:i], back, err == nil && back >= 0
}

// moments are the forms of a moment, and how far each reaches.
var moments = []struct {
	layout              string
	years, months, days int
}{
	{time.RFC3339Nano, 0, 0, 0},
	{"2006-01-02T15:04:05", 0, 0, 0},
	{"2006-01-02 15:04:05", 0, 0, 0},
	{"2006-01-02T15:04", 0, 0, 0},
	{"2006-01-02 15:04", 0, 0, 0},
	{"2006-01-02", 0, 0, 1},
	{"2006-01", 0, 1, 0},
	{"2006", 1, 0, 0},
}

// at returns the newest snapshot that is not younger than a moment.
func (v *View) at(all []*session.Snapshot, name, moment string) (*session.Snapshot, error) {
	zone := v.repo.Clock().Now().Location()
	for _, m := range moments {
		t, err := time.ParseInLocation(m.layout, moment, zone)
		if err != nil {
			continue
		}
		if m.years+m.months+m.days > 0 {
			t = t.AddDate(m.years, m.months, m.days).Add(-1)
		}
		for i := len(all) - 1; i >= 0; i-- {
			if all[i].Record.Time <= t.UnixNano() {
				return all[i], nil
			}
		}
		return nil, errs.WithHint(errs.New(errs.NotFound, "no snapshot is as old as %s", t.Format(time.RFC3339)),
			"nacre snapshots lists what there is")
	}
	return nil, errs.WithHint(errs.New(errs.Usage, "%q is no moment", name),
		"write @2026-11-01, @2026-11-01T12:00 or @2026-11-01T12:00:00Z")
}

func notFound(all []*session.Snapshot, name string) error {
	if len(all) == 0 {
		return errs.WithHint(errs.New(errs.NotFound, "snapshot %q: the repository has no snapshots", name),
			"make one with nacre backup")
	}
	return errs.WithHint(errs.New(errs.NotFound, "snapshot %q: not found", name), "nacre snapshots lists what there is")
}
