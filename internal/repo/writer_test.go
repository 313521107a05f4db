package repo

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/store"
	"github.com/nacre-backup/nacre/internal/store/fault"
	"github.com/nacre-backup/nacre/internal/store/mem"
)

func TestTheWriterIsMadeOnceForEachMachine(t *testing.T) {
	t.Parallel()
	s := mem.New()
	dir := filepath.Join(t.TempDir(), "state")
	r := initRepo(t, s, withKey(1), dir)
	if _, ok := r.KnownWriter(); ok {
		t.Error("there is a writer before anything was written")
	}
	a, err := r.Writer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, writerFile)); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the writer's key: %v, error %v", info.Mode(), err)
	}
	again, _ := open(t, s, withKey(1), dir)
	if w, ok := again.KnownWriter(); !ok || w != a.Writer() {
		t.Errorf("writer %s, want %s", w, a.Writer())
	}
	b, err := again.Writer(t.Context())
	if err != nil || b.Writer() != a.Writer() || len(again.Ring().Writers) != 1 || again.Ring().Generation != 2 {
		t.Errorf("writer %s, error %v, ring %d with %d writers", b.Writer(), err, again.Ring().Generation, len(again.Ring().Writers))
	}
	if w := again.Ring().Writers[0]; w.Label != "first" || again.Rights(a.Writer()) != crypt.RightWrite|crypt.RightPrune || again.Rights(id.Writer{}) != 0 {
		t.Errorf("row %+v", w)
	}
	// Its key lost, the machine gets another writer, and the first one's word still counts.
	if err := os.Remove(filepath.Join(dir, writerFile)); err != nil {
		t.Fatal(err)
	}
	third, _ := open(t, s, withKey(1), dir)
	c, err := third.Writer(t.Context())
	if err != nil || c.Writer() == a.Writer() || len(third.Ring().Writers) != 2 {
		t.Errorf("writer %s, error %v, %d writers", c.Writer(), err, len(third.Ring().Writers))
	}
	if err := os.WriteFile(filepath.Join(dir, writerFile), []byte("zz"), 0o600); err != nil {
		t.Fatal(err)
	}
	fourth, _ := open(t, s, withKey(1), dir)
	_, err = fourth.Writer(t.Context())
	mustBe(t, "a damaged key", err, errs.Corrupt)
	if _, ok := fourth.KnownWriter(); ok {
		t.Error("a damaged key is known")
	}
}

func TestTwoProcessesOfOneMachineShareTheWriter(t *testing.T) {
	t.Parallel()
	s := mem.New()
	dir := t.TempDir()
	initRepo(t, s, withKey(1), dir)
	var wg sync.WaitGroup
	got := make([]id.Writer, 8)
	for i := range got {
		r, _ := open(t, s, withKey(1), dir)
		r.rand = random(byte(50 + i))
		wg.Go(func() {
			w, err := r.Writer(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			got[i] = w.Writer()
		})
	}
	wg.Wait()
	for _, w := range got {
		if w != got[0] {
			t.Errorf("writers %v", got)
		}
	}
	if r, _ := open(t, s, withKey(1), dir); len(r.Ring().Writers) != 1 {
		t.Errorf("%d writers are enrolled", len(r.Ring().Writers))
	}
}

func TestNoEnrolmentIsLostWhenManyMachinesEnrolAtOnce(t *testing.T) {
	t.Parallel()
	s := mem.New()
	initRepo(t, s, withKey(1), "")
	var wg sync.WaitGroup
	writers := make([]id.Writer, 6)
	for i := range writers {
		r, _ := open(t, s, withKey(1), "")
		r.rand, r.label = random(byte(50+i)), "machine"
		wg.Go(func() {
			w, err := r.Writer(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			writers[i] = w.Writer()
		})
	}
	wg.Wait()
	r, _ := open(t, s, withKey(1), "")
	for _, w := range writers {
		if r.Rights(w) == 0 {
			t.Errorf("the enrolment of %s is lost", w)
		}
	}
}

// enrolAfter enrols a machine whose first ring object lands late: after it looked, another machine does what between
// says.
func TestAnEnrolmentThatCrossesAnotherStands(t *testing.T) {
	t.Parallel()
	inner := mem.New()
	initRepo(t, inner, withKey(1), "")
	f := fault.New(inner)
	late, _ := open(t, f, withKey(1), "")
	late.rand = random(20)
	var others []id.Writer
	f.SetHook(func(op fault.Op, name string) error {
		if op == fault.Put && strings.HasPrefix(name, "ring/") && len(others) == 0 {
			for i := range byte(3) {
				m, _ := open(t, inner, withKey(1), "")
				m.rand = random(30 + i)
				w, err := m.Writer(t.Context())
				if err != nil {
					return err
				}
				others = append(others, w.Writer())
			}
		}
		return nil
	})
	w, err := late.Writer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r, _ := open(t, inner, withKey(1), "")
	for _, x := range append(others, w.Writer()) {
		if r.Rights(x) == 0 {
			t.Errorf("the enrolment of %s is lost", x)
		}
	}
	if r.Ring().Generation != 5 {
		t.Errorf("generation %d", r.Ring().Generation)
	}
}

func TestEnrolmentSurvivesEveryFailure(t *testing.T) {
	t.Parallel()
	clean := mem.New()
	initRepo(t, clean, withKey(1), "")
	for _, when := range []fault.When{fault.Before, fault.After} {
		for n := 1; ; n++ {
			inner := clean.Clone()
			dir := t.TempDir()
			r, _ := open(t, inner, withKey(1), dir)
			f := fault.New(inner, fault.Rule{N: n, When: when})
			r.store = f
			_, err := r.Writer(t.Context())
			if f.Fired() == 0 {
				break
			}
			again, _ := open(t, inner, withKey(1), dir)
			w, err2 := again.Writer(t.Context())
			if err2 != nil || again.Rights(w.Writer()) == 0 || len(again.Ring().Writers) != 1 {
				t.Errorf("call %d: %v, then %v, %d writers", n, err, err2, len(again.Ring().Writers))
			}
		}
	}
}

func TestARevokedWriterDoesNotWrite(t *testing.T) {
	t.Parallel()
	s := mem.New()
	dir := t.TempDir()
	r := initRepo(t, s, withKey(1), dir)
	w, err := r.Writer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.change(t.Context(), func(g *crypt.Ring) (bool, error) {
		done := g.Writers[0].Revoked
		g.Writers[0].Revoked = true
		return !done, nil
	}); err != nil {
		t.Fatal(err)
	}
	again, _ := open(t, s, withKey(1), dir)
	_, err = again.Writer(t.Context())
	mustBe(t, "a revoked writer", err, errs.Denied)
	if again.Rights(w.Writer()) != 0 {
		t.Error("a revoked writer has rights")
	}
}

func TestAKeyringThatGoesBackIsRefused(t *testing.T) {
	t.Parallel()
	s := mem.New()
	dir := t.TempDir()
	r := initRepo(t, s, withKey(1), dir)
	before := s.Clone()
	if _, err := r.Writer(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), OpenOptions{Store: before, Rand: random(2), Credential: withKey(1), StateDir: dir})
	mustBe(t, "an older keyring", err, errs.Corrupt)
	if !strings.Contains(errs.Hint(err), dir) {
		t.Errorf("hint %q", errs.Hint(err))
	}
	// Another one of the same number is not the one that was seen.
	other, _ := open(t, before, withKey(1), "")
	other.rand = random(77)
	if _, err := other.Writer(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), OpenOptions{Store: before, Rand: random(2), Credential: withKey(1), StateDir: dir})
	mustBe(t, "another keyring of the same number", err, errs.Corrupt)
	// Nor does it go back under an open repository.
	r.store = before.Clone()
	for _, n := range before.Names("") {
		if strings.Contains(n, "ring/00000002") {
			r.store.(*mem.Store).Lose(n)
		}
	}
	mustBe(t, "reload", r.Reload(t.Context()), errs.Corrupt)
	for _, memory := range []string{"", "x", "x y", "3"} {
		if err := os.WriteFile(filepath.Join(dir, ringFile), []byte(memory), 0o600); err != nil {
			t.Fatal(err)
		}
		open(t, before, withKey(1), dir) // a memory that cannot be read is none
	}
}

func TestNamesThatAreNoRing(t *testing.T) {
	t.Parallel()
	n := strings.Repeat("0", 64)
	for _, s := range []string{"", "x", "1-" + n, "0000000G-" + n, "0000000A-" + n, "00000001-" + n[1:]} {
		if r, ok := parseRing(s); ok {
			t.Errorf("%q is %+v", s, r)
		}
	}
	want := ringName{gen: 10, name: id.Name{1}}
	if got, ok := parseRing(strings.TrimPrefix(want.path(), "ring/")); !ok || got != want {
		t.Errorf("%s is %+v", want.path(), got)
	}
}

func TestAnEnrolmentThatLandsBelowTheHighestIsMadeAgain(t *testing.T) {
	t.Parallel()
	inner := mem.New()
	initRepo(t, inner, withKey(1), "")
	enrol := func(s store.Store, n byte) id.Writer {
		m, _ := open(t, s, withKey(1), "")
		m.rand = random(n)
		w, err := m.Writer(t.Context())
		if err != nil {
			t.Error(err)
			return id.Writer{}
		}
		return w.Writer()
	}
	// The first looks, and before it puts its generation two others make theirs, and a third has looked too.
	first, third := fault.New(inner), fault.New(inner)
	looked, landed := make(chan struct{}), make(chan struct{})
	thirds := make(chan id.Writer, 1)
	var crossed, waited bool
	third.SetHook(func(op fault.Op, name string) error {
		if op == fault.Put && strings.HasPrefix(name, "ring/") && !waited {
			waited = true
			close(looked)
			<-landed // the first one is content by now
		}
		return nil
	})
	var writers []id.Writer
	first.SetHook(func(op fault.Op, name string) error {
		if op == fault.Put && strings.HasPrefix(name, "ring/") && !crossed {
			crossed = true
			writers = append(writers, enrol(inner, 91), enrol(inner, 92))
			go func() { thirds <- enrol(third, 93) }()
			<-looked
		}
		return nil
	})
	writers = append(writers, enrol(first, 90))
	close(landed)
	writers = append(writers, <-thirds)
	r, _ := open(t, inner, withKey(1), "")
	for _, w := range writers {
		if r.Rights(w) == 0 {
			t.Errorf("the enrolment of %s is lost", w)
		}
	}
}
