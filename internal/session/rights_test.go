package session

import (
	"errors"
	"slices"
	"testing"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/repo"
	"github.com/nacre-backup/nacre/internal/store/mem"
)

func TestJudgesLookAtRights(t *testing.T) {
	t.Parallel()
	ms := mem.New()
	r := newRepo(t, ms)
	sid := id.Session{1}
	path := record.FatePath(0, sid)
	me, other := id.Writer{1}, id.Writer{2}
	inner, err := snap(r, "x").Encode()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		kind   record.Kind
		rights crypt.Rights
		owner  *id.Writer
		want   bool
	}{
		{"a writer commits its session", record.Commit, crypt.RightWrite, &me, true},
		{"a writer commits a session whose object is gone", record.Commit, crypt.RightWrite, nil, true},
		{"a put-only writer commits", record.Checkpoint, crypt.RightPut, &me, true},
		{"a pruner commits no snapshot", record.Commit, crypt.RightPrune, &me, false},
		{"nobody commits another's session", record.Commit, crypt.RightWrite, &other, false},
		{"a pruner rescues", record.Rescue, crypt.RightPrune, &me, true},
		{"a writer does not rescue", record.Rescue, crypt.RightWrite, &me, false},
		{"a writer compacts", record.Compaction, crypt.RightWrite, &me, true},
		{"a put-only writer does not compact", record.Compaction, crypt.RightPut, &me, false},
		{"its own writer ends a session", record.Ended, crypt.RightPut, &me, true},
		{"nobody ends another's", record.Ended, crypt.RightPrune, &other, false},
		{"its own writer kills a session", record.Killed, crypt.RightPut, &me, true},
		{"a pruner kills another's", record.Killed, crypt.RightPrune, &other, true},
		{"a writer does not kill another's", record.Killed, crypt.RightWrite, &other, false},
	}
	for _, tt := range tests {
		outer, err := (&record.Fate{Path: path, Writer: me, Session: sid, Kind: tt.kind}).Encode()
		if err != nil {
			t.Fatal(err)
		}
		c := &repo.Control{Outer: outer, Ring: crypt.RingWriter{Rights: tt.rights}}
		if tt.kind.Snapshot() {
			c.Inner = inner
		}
		f, err := judge(path, c, tt.owner)
		if (err == nil) != tt.want || err != nil && !errors.Is(err, errs.Corrupt) {
			t.Errorf("%s: fate %+v, error %v", tt.name, f, err)
		}
		c.Ring.Revoked = true
		if f, err := judge(path, c, tt.owner); tt.want && (err != nil || !f.Void || f.Committed()) {
			t.Errorf("%s, revoked: fate %+v, error %v", tt.name, f, err)
		}
		c.Ring.Fates = []id.Session{sid}
		if f, err := judge(path, c, tt.owner); tt.want && (err != nil || f.Void) {
			t.Errorf("%s, revoked and listed: fate %+v, error %v", tt.name, f, err)
		}
	}
	bad := func(what string, f record.Fate, inner []byte) {
		t.Helper()
		outer, err := f.Encode()
		if err != nil {
			t.Fatal(err)
		}
		c := &repo.Control{Outer: outer, Inner: inner, Ring: crypt.RingWriter{Rights: crypt.RightWrite | crypt.RightPrune}}
		if _, err := judge(f.Path, c, nil); !errors.Is(err, errs.Corrupt) {
			t.Errorf("%s: error %v", what, err)
		}
	}
	bad("another session's", record.Fate{Path: path, Session: id.Session{2}, Kind: record.Ended}, nil)
	bad("another era's", record.Fate{Path: path, Session: sid, Era: 1, Kind: record.Ended}, nil)
	bad("a commit without a snapshot", record.Fate{Path: path, Session: sid, Kind: record.Commit}, nil)
	bad("a kill with a snapshot", record.Fate{Path: path, Session: sid, Kind: record.Killed}, inner)
	bad("a snapshot that does not decode", record.Fate{Path: path, Session: sid, Kind: record.Commit}, []byte{1})
	bad("a commit in a kill's place", record.Fate{Path: record.KilledPath(0, sid), Session: sid, Kind: record.Commit}, inner)
	if _, err := judge(path, &repo.Control{Outer: []byte{1}}, nil); !errors.Is(err, errs.Corrupt) {
		t.Errorf("rubbish: error %v", err)
	}
}

func TestWhatAPutOnlyWriterSays(t *testing.T) {
	t.Parallel()
	r := newRepo(t, mem.New())
	p, q := record.Pack{Class: 'D', N: 1}, record.Pack{Class: 'D', N: 2}
	fate := func(sid byte, kind record.Kind, rights crypt.Rights) *Fate {
		return &Fate{Fate: record.Fate{Session: id.Session{sid}, Kind: kind, Writer: id.Writer{sid}}, Rights: rights}
	}
	full, put := fate(1, record.Compaction, crypt.RightWrite), fate(2, record.Compaction, crypt.RightPut)
	full.Packs, full.Indexes = []record.Pack{p}, []id.Name{{1}}
	put.Packs, put.Indexes, put.Gone, put.Replaces = []record.Pack{q}, []id.Name{{2}}, []record.Pack{p}, []id.Name{{1}}
	st := &State{repo: r, fates: map[id.Session]*Fate{{1}: full, {2}: put}}
	st.settle()
	if !st.Usable(p) || st.Usable(q) || !slices.Equal(st.indexes, []id.Name{{1}}) {
		t.Errorf("a put-only writer's packs are used by others (%v), or its word hides theirs (%v, %v)", st.Usable(q), !st.Usable(p), st.indexes)
	}
	put.trusted = true
	if st.settle(); !st.Usable(q) {
		t.Error("a trusted put-only writer's packs are not used")
	}
	cp := &Fate{Fate: record.Fate{Kind: record.Checkpoint, Writer: id.Writer{1}}}
	done := &Fate{Fate: record.Fate{Kind: record.Commit, Writer: id.Writer{1}}}
	for what, tt := range map[string]struct {
		t    tomb
		f    *Fate
		want bool
	}{
		"of a writer":                        {tomb{&record.Tombstone{}, crypt.RingWriter{Rights: crypt.RightWrite}}, done, true},
		"of a pruner":                        {tomb{&record.Tombstone{}, crypt.RingWriter{Rights: crypt.RightPrune}}, done, true},
		"of a revoked writer":                {tomb{&record.Tombstone{}, crypt.RingWriter{Rights: crypt.RightWrite, Revoked: true}}, done, false},
		"of nobody":                          {tomb{}, done, false},
		"of a put-only writer, a checkpoint": {tomb{&record.Tombstone{Writer: id.Writer{1}}, crypt.RingWriter{Rights: crypt.RightPut}}, cp, true},
		"of a put-only writer, a commit":     {tomb{&record.Tombstone{Writer: id.Writer{1}}, crypt.RingWriter{Rights: crypt.RightPut}}, done, false},
		"of a put-only writer, another's":    {tomb{&record.Tombstone{Writer: id.Writer{2}}, crypt.RingWriter{Rights: crypt.RightPut}}, cp, false},
	} {
		if got := tt.t.counts(tt.f); got != tt.want {
			t.Errorf("a tombstone %s counts: %v", what, got)
		}
	}
}

func TestMisplacedObjectsAreUnknown(t *testing.T) {
	t.Parallel()
	ms := mem.New()
	r := newRepo(t, ms)
	sid := id.Session{1}
	at := func(class crypt.Class, path string, encode func(w id.Writer) ([]byte, error)) {
		place(t, r, class, path, encode)
	}
	path := record.SessionPath(0, sid)
	at(crypt.ClassSession, path, func(w id.Writer) ([]byte, error) {
		return (&record.Session{Path: path, Writer: w, Session: id.Session{2}, Use: record.Write}).Encode()
	})
	tomb := record.TombstonePath(sid)
	at(crypt.ClassTombstone, tomb, func(w id.Writer) ([]byte, error) {
		return (&record.Tombstone{Path: tomb, Writer: w, Session: id.Session{2}}).Encode()
	})
	cond := record.CondemnedPath(sid)
	at(crypt.ClassCondemned, cond, func(w id.Writer) ([]byte, error) {
		return (&record.Condemned{Path: cond, Writer: w, ID: id.Session{2}}).Encode()
	})
	st := listed(t, r)
	if len(st.Unknowns()) != 3 || !st.blind || !st.Tombstoned(sid) || len(st.OpenSessions()) != 1 || st.OpenSessions()[0].Record != nil {
		t.Errorf("unknown %v", st.Unknowns())
	}
}
