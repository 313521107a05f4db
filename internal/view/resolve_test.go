package view

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/session"
)

func TestResolveFindsWhatAUserNames(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	if _, err := e.view(t).Resolve("latest"); !errors.Is(err, errs.NotFound) || errs.Hint(err) == "" {
		t.Fatalf("in an empty repository: %v", err)
	}
	at := func(s string) int64 {
		m, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return m.UnixNano()
	}
	home1 := e.commit(t, record.Snapshot{Host: "h", Name: "home", Time: at("2026-10-31T23:30:00+02:00")})
	work := e.commit(t, record.Snapshot{Host: "h", Name: "work-2026", Time: at("2026-11-01T10:00:00+02:00")})
	home2 := e.commit(t, record.Snapshot{Host: "h", Name: "home", Time: at("2026-11-01T12:00:00+02:00")})
	tilde := e.commit(t, record.Snapshot{Host: "h", Name: "odd~1", Time: at("2026-11-02T00:00:00+02:00")})
	v := e.view(t)
	for name, want := range map[string]*session.Snapshot{
		"latest":                               tilde,
		"latest~0":                             tilde,
		"latest~1":                             home2,
		"latest~3":                             home1,
		"home":                                 home2,
		"home~1":                               home1,
		"odd~1":                                tilde,
		"work":                                 work,
		"work-2026":                            work,
		home1.ID.String():                      home1,
		home1.ID.String()[:12]:                 home1,
		strings.ToUpper(work.ID.String()[:12]): work,
		"@2026-10-31":                          home1,
		"@2026-11-01":                          home2,
		"@2026-11-01T10:00":                    work,
		"@2026-11-01 11:59:59":                 work,
		"@2026-11-01T12:00":                    home2,
		"@2026-11-01T10:00:00Z":                home2,
		"@2026-10":                             home1,
		"@2026":                                tilde,
		"@2026-11-01T08:00:00.5Z":              work,
	} {
		if got, err := v.Resolve(name); err != nil || got.ID != want.ID {
			t.Errorf("%q: %v, %v, want %v", name, got, err, want.ID)
		}
	}
	for _, name := range []string{"", "nobody", "home~2", "latest~4", "@2025", "ffff0000ffff0000ffff0000ffff0000", home1.ID.String()[:3]} {
		if got, err := v.Resolve(name); !errors.Is(err, errs.NotFound) || errs.Hint(err) == "" {
			t.Errorf("%q: %v, %v", name, got, err)
		}
	}
	if _, err := v.Resolve("@yesterday"); !errors.Is(err, errs.Usage) || errs.Hint(err) == "" {
		t.Errorf("no moment: %v", err)
	}
	var many *AmbiguousError
	if _, err := v.Resolve("hom"); !errors.As(err, &many) || len(many.Candidates) != 2 || !strings.Contains(err.Error(), home1.ID.String()) {
		t.Errorf("ambiguous: %v", err)
	}
	for len(v.Snapshots()) < 8 {
		e.commit(t, record.Snapshot{Host: "h", Name: fmt.Sprintf("homer-%d", len(v.Snapshots())), Time: at("2026-11-03T00:00:00Z")})
		if err := v.Refresh(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := v.Resolve("home"); err != nil {
		t.Errorf("a whole name is no prefix: %v", err)
	}
	if _, err := v.Resolve("hom"); !errors.As(err, &many) || !strings.HasSuffix(err.Error(), "and more") {
		t.Errorf("very ambiguous: %v", err)
	}
}

func TestAForgottenSnapshotIsNotResolved(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	a := e.commit(t, record.Snapshot{Host: "h", Name: "home"})
	v := e.view(t)
	e.mem.Set(record.TombstonePath(a.ID), []byte("whatever stands there"))
	if err := v.Refresh(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got, err := v.Resolve(a.ID.String()); !errors.Is(err, errs.NotFound) {
		t.Fatalf("%v, %v", got, err)
	}
}
