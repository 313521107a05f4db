package repo

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/nacre-backup/nacre/internal/clock"
	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/event"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/store"
	"github.com/nacre-backup/nacre/internal/store/fault"
	"github.com/nacre-backup/nacre/internal/store/mem"
)

type seeded struct {
	mu  sync.Mutex
	gen *rand.ChaCha8
}

func (s *seeded) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gen.Read(p)
}

func random(n byte) clock.Rand { return &seeded{gen: rand.NewChaCha8([32]byte{n})} }

// cheap makes password slots that cost nothing.
var cheap = crypt.Argon2{Time: 1, Memory: 64, Threads: 1}

func key(n byte) []byte { return crypt.FormatKeyfile(crypt.Key{n, 1}, id.Repository{}) }

func withKey(n byte) Credential { return Credential{Keyfile: key(n)} }

// warnings gathers what is reported.
type warnings struct {
	mu   sync.Mutex
	list []string
}

func (w *warnings) take(e event.Event) {
	if x, ok := e.(event.Warning); ok {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.list = append(w.list, x.Err.Error())
	}
}

func (w *warnings) has(part string) bool {
	return slices.ContainsFunc(w.list, func(s string) bool { return strings.Contains(s, part) })
}

func initRepo(t *testing.T, s store.Store, c Credential, dir string) *Repo {
	t.Helper()
	r, err := Init(t.Context(), InitOptions{
		Store: s, Rand: random(1), Credential: c, NoEncryption: c.empty(), Argon2: cheap, StateDir: dir, Label: "first",
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func open(t *testing.T, s store.Store, c Credential, dir string) (*Repo, *warnings) {
	t.Helper()
	w := &warnings{}
	r, err := Open(t.Context(), OpenOptions{Store: s, Rand: random(9), Credential: c, StateDir: dir, Events: w.take})
	if err != nil {
		t.Fatal(err)
	}
	return r, w
}

func mustBe(t *testing.T, what string, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("%s: error %v, want %v", what, err, kind)
	}
}

func TestInitMakesWhatOpenOpens(t *testing.T) {
	t.Parallel()
	words := strings.Join(crypt.Words(crypt.Key{5, 1}), " ")
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ make, open Credential }{
		"a password":        {Credential{Password: []byte("secret")}, Credential{Password: []byte("secret")}},
		"a keyfile":         {withKey(5), withKey(5)},
		"its words":         {withKey(5), Credential{Words: words}},
		"words in the file": {withKey(5), Credential{Keyfile: []byte(words)}},
		"age":               {Credential{Recipients: []age.Recipient{identity.Recipient()}}, Credential{Identities: []age.Identity{identity}}},
		"no encryption":     {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := mem.New()
			made := initRepo(t, s, tt.make, "")
			r, w := open(t, s, tt.open, "")
			if r.ID() != made.ID() || r.Domain().Scope() != made.Domain().Scope() || len(w.list) != 0 {
				t.Errorf("repository %s, want %s; warnings %q", r.ID(), made.ID(), w.list)
			}
			if r.Unencrypted() != (name == "no encryption") || made.Unencrypted() != r.Unencrypted() || r.RegisterClass() || r.ReadOnly() {
				t.Errorf("unencrypted %v, register class %v, read-only %v", r.Unencrypted(), r.RegisterClass(), r.ReadOnly())
			}
			slots, err := r.ListSlots(t.Context())
			if err != nil || len(slots) != 1 || slots[0].Label != slots[0].Kind {
				t.Errorf("slots %+v, error %v", slots, err)
			}
			if left := s.Names(probes); len(left) != 0 {
				t.Errorf("probes are left: %q", left)
			}
			for _, n := range s.Names("") {
				if dup := record.DupPath(n); !strings.HasPrefix(n, "dup/") && !slices.Equal(s.Bytes(dup), s.Bytes(n)) {
					t.Errorf("%s has no second copy", n)
				}
			}
			if got, err := Probe(t.Context(), s); err != nil || got.Repository != r.ID() {
				t.Errorf("probe finds %+v, error %v", got, err)
			}
		})
	}
}

func TestTheDefaultsAreTheSystems(t *testing.T) {
	t.Parallel()
	s := mem.New()
	w := &warnings{}
	r, err := Init(t.Context(), InitOptions{Store: s, NoEncryption: true, Suite: crypt.SuiteChaCha, SlotLabel: "mine", Events: w.take})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := r.Clock().(clock.System); !ok || r.Rand() == nil || r.Store() != store.Store(s) || r.Events() == nil || r.StateDir() != "" {
		t.Errorf("clock %T, store %v, state folder %q", r.Clock(), r.Store(), r.StateDir())
	}
	if slots, err := r.ListSlots(t.Context()); err != nil || slots[0].Label != "mine" {
		t.Errorf("slots %+v, error %v", slots, err)
	}
	if h, _, err := r.NewHeader(crypt.ClassData); err != nil || h.Suite != crypt.SuiteChaCha {
		t.Errorf("header %+v, error %v", h, err)
	}
}

func TestAStoreWithoutCreateIfAbsentIsOfTheRegisterClass(t *testing.T) {
	t.Parallel()
	// A store that offers create-if-absent and lets every second creator win is worse than none.
	for name, s := range map[string]store.Store{"none": mem.NewRegister(), "a false one": &lyingStore{Store: mem.New()}, "a refused one": &lyingStore{
		Store: mem.New(), err: errs.New(errs.Unsupported, "no"),
	}} {
		if r := initRepo(t, s, withKey(1), ""); !r.RegisterClass() {
			t.Errorf("%s: not of the register class", name)
		}
		if r, _ := open(t, s, withKey(1), ""); !r.RegisterClass() {
			t.Errorf("%s: the class is not recorded", name)
		}
	}
}

// lyingStore says of every creation that it won.
type lyingStore struct {
	*mem.Store
	err error
}

func (l *lyingStore) As(target any) bool {
	if p, ok := target.(*store.PutIfAbsenter); ok {
		*p = l
		return true
	}
	return l.Store.As(target)
}

func (l *lyingStore) PutIfAbsent(_ context.Context, name string, c store.Content) error {
	if l.err == nil {
		l.Set(name, c.(store.Bytes))
	}
	return l.err
}

// lateStore lists, or reads, only what was there at its beginning.
type lateStore struct {
	*mem.Store
	lists, reads bool
}

func (l *lateStore) List(ctx context.Context, prefix string, fn func(store.Info) error) error {
	if l.lists && prefix != "" {
		return nil
	}
	return l.Store.List(ctx, prefix, fn)
}

func (l *lateStore) Get(ctx context.Context, name string, r store.Range, fn func(io.Reader) error) error {
	if l.reads {
		return errs.New(errs.NotFound, "get %s: not yet", name)
	}
	return l.Store.Get(ctx, name, r, fn)
}

func TestAStoreThatShowsLateIsRefused(t *testing.T) {
	t.Parallel()
	for _, s := range []store.Store{&lateStore{Store: mem.New(), lists: true}, &lateStore{Store: mem.New(), reads: true}} {
		_, err := Init(t.Context(), InitOptions{Store: s, Rand: random(1), Credential: withKey(1)})
		mustBe(t, "init", err, errs.Unsupported)
		if errs.Hint(err) == "" {
			t.Error("no hint")
		}
	}
}

func TestInitRefusesWhatItCannotMake(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]InitOptions{
		"nothing to open it with":     {},
		"a password and none":         {NoEncryption: true, Credential: withKey(1)},
		"two credentials":             {Credential: Credential{Password: []byte("a"), Keyfile: key(1)}},
		"an empty password":           {Credential: Credential{Password: []byte{}}},
		"an identity, not recipients": {Credential: Credential{Identities: []age.Identity{&age.X25519Identity{}}}},
	} {
		o.Store, o.Rand = mem.New(), random(1)
		_, err := Init(t.Context(), o)
		mustBe(t, name, err, errs.Usage)
	}
	_, err := Init(t.Context(), InitOptions{Store: mem.New(), Rand: random(1), Credential: Credential{Keyfile: []byte("no key")}})
	mustBe(t, "a keyfile that is none", err, errs.WrongKey)
	_, err = Init(t.Context(), InitOptions{Store: mem.New(), Rand: random(1), Credential: Credential{Words: "abandon abandon"}})
	mustBe(t, "words that are none", err, errs.WrongKey)
}

func TestInitRefusesAPlaceThatIsNotEmpty(t *testing.T) {
	t.Parallel()
	s := mem.New()
	initRepo(t, s, withKey(1), "")
	again := func(what string) {
		t.Helper()
		before := s.Names("")
		_, err := Init(t.Context(), InitOptions{Store: s, Rand: random(2), Credential: withKey(1)})
		mustBe(t, what, err, errs.Exists)
		if errs.Hint(err) == "" || !slices.Equal(before, s.Names("")) {
			t.Errorf("%s: no hint, or something was changed", what)
		}
	}
	again("a repository")
	s.Lose("nacre.json")
	again("a repository without nacre.json")
	s.Lose("dup/nacre.json")
	s.Set("data/x", []byte("x"))
	again("a place with data")
	s.Lose("data/x")
	initRepo(t, s, withKey(2), "") // what a crashed init left is cleared away
	if r, w := open(t, s, withKey(2), ""); len(w.list) != 0 || len(r.Ring().Slots) != 1 {
		t.Errorf("warnings %q", w.list)
	}
}

func TestInitIsWholeOrAgainPossibleWhateverFails(t *testing.T) {
	t.Parallel()
	count := fault.New(mem.New())
	initRepo(t, count, withKey(1), "")
	calls := count.Calls(fault.Any)
	for _, when := range []fault.When{fault.Before, fault.After} {
		for _, lasting := range []bool{false, true} {
			for n := 1; ; n++ {
				// Most calls are the probes' races, which are all alike.
				if n > 8 && n < calls-20 && n%11 != 0 || lasting && when == fault.After && n%5 != 0 {
					continue
				}
				inner := mem.New()
				f := fault.New(inner, fault.Rule{N: n, Lasting: lasting, When: when})
				_, err := Init(t.Context(), InitOptions{Store: f, Rand: random(1), Credential: withKey(1)})
				if f.Fired() == 0 {
					if err != nil {
						t.Fatal(err)
					}
					break
				}
				crashed := inner.AfterPowerCut()
				for what, s := range map[string]*mem.Store{"as it is": inner, "after a power cut": crashed} {
					_, openErr := Open(t.Context(), OpenOptions{Store: s, Rand: random(3), Credential: withKey(1)})
					if err == nil && openErr != nil {
						t.Fatalf("call %d, %s: init succeeded and open fails: %v", n, what, openErr)
					}
					_, initErr := Init(t.Context(), InitOptions{Store: s, Rand: random(2), Credential: withKey(1)})
					if initErr != nil && openErr != nil {
						t.Fatalf("call %d, %s: the place is stuck: init %v, open %v", n, what, initErr, openErr)
					}
					open(t, s, withKey(1), "")
				}
			}
		}
	}
}

func TestOfTwoInitsInOnePlaceOneWins(t *testing.T) {
	t.Parallel()
	inner := mem.New()
	f := fault.New(inner)
	second := false
	f.SetHook(func(op fault.Op, name string) error {
		if op == fault.PutIfAbsent && name == "dup/nacre.json" && !second {
			second = true
			// The other one looked at the place when this one had written nothing yet.
			other := mem.New()
			initRepo(t, other, withKey(2), "")
			for _, n := range other.Names("") {
				inner.Set(n, other.Bytes(n))
			}
		}
		return nil
	})
	_, err := Init(t.Context(), InitOptions{Store: f, Rand: random(7), Credential: withKey(1)})
	mustBe(t, "the slower init", err, errs.Exists)
	open(t, inner, withKey(2), "")
}

// rewritten changes a JSON object of the repository and makes its checksum right again.
func rewritten(t *testing.T, b []byte, from, to string) []byte {
	t.Helper()
	const check = ",\n  \"check\": \""
	head, tail, ok := strings.Cut(string(b), check)
	head, changed := strings.Replace(head, from, to, 1), strings.Contains(head, from)
	if !ok || !changed {
		t.Fatalf("no checksum, or no %s, in %s", from, b)
	}
	sum := crypt.Sum([]byte(head))
	return []byte(head + check + hex.EncodeToString(sum[:]) + tail[64:])
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	try := func(what string, s store.Store, c Credential, kind error) {
		t.Helper()
		_, err := Open(t.Context(), OpenOptions{Store: s, Rand: random(2), Credential: c})
		mustBe(t, what, err, kind)
		if errs.Hint(err) == "" {
			t.Errorf("%s: no hint: %v", what, err)
		}
	}
	try("an empty place", mem.New(), withKey(1), errs.NoRepository)
	s := mem.New()
	s.Set("photos/a", []byte("x"))
	try("a folder of something else", s, withKey(1), errs.NoRepository)

	s = mem.New()
	initRepo(t, s, Credential{Password: []byte("right")}, "")
	try("a wrong password", s, Credential{Password: []byte("wrong")}, errs.WrongKey)
	try("a key where there is a password", s, withKey(1), errs.WrongKey)
	try("nothing where there is a password", s, Credential{}, errs.WrongKey)

	s = mem.New()
	initRepo(t, s, Credential{}, "")
	try("a password where there is no encryption", s, Credential{Password: []byte("x")}, errs.WrongKey)

	fresh := func() (*mem.Store, []string) {
		s := mem.New()
		initRepo(t, s, withKey(1), "")
		return s, s.Names("")
	}
	for _, folder := range []string{"nacre.json", "keys/", "ring/"} {
		s, all := fresh()
		for _, n := range all {
			if strings.HasPrefix(strings.TrimPrefix(n, "dup/"), folder) {
				s.FlipBit(n, 8*int(s.Size(n)/2))
			}
		}
		try("both copies of "+folder+" damaged", s, withKey(1), errs.Corrupt)
	}
	s, _ = fresh()
	for _, n := range []string{"nacre.json", "dup/nacre.json"} {
		s.Set(n, rewritten(t, s.Bytes(n), `"version": 1`, `"version": 2`))
	}
	try("a later format", s, withKey(1), errs.Unsupported)
}

func TestOneDamagedOrLostObjectDoesNotKeepItShut(t *testing.T) {
	t.Parallel()
	clean := mem.New()
	initRepo(t, clean, withKey(1), "")
	for _, n := range clean.Names("") {
		for _, damage := range []string{"flip", "cut", "lose"} {
			s := clean.Clone()
			switch damage {
			case "flip":
				s.FlipBit(n, 8*int(s.Size(n)/2)+1)
			case "cut":
				s.Corrupt(n, func(b []byte) []byte { return b[:len(b)/2] })
			default:
				s.Lose(n)
			}
			r, w := open(t, s, withKey(1), "")
			if r.ID() == (id.Repository{}) {
				t.Error("no id")
			}
			if original := !strings.HasPrefix(n, "dup/"); original != (len(w.list) > 0) {
				t.Errorf("%s of %s: warnings %q", damage, n, w.list)
			}
		}
	}
}

func TestAChangedBootstrapIsNotBelieved(t *testing.T) {
	t.Parallel()
	s := mem.New()
	initRepo(t, s, withKey(1), "")
	change := func(n string) {
		s.Set(n, rewritten(t, s.Bytes(n), "Do not change", "Please change")) // it still parses
	}
	change("nacre.json")
	if _, w := open(t, s, withKey(1), ""); !w.has("not what init wrote") {
		t.Errorf("warnings %q", w.list)
	}
	change("dup/nacre.json")
	_, err := Open(t.Context(), OpenOptions{Store: s, Rand: random(2), Credential: withKey(1)})
	mustBe(t, "both changed", err, errs.Corrupt)
}

func TestAStoreThatDoesNotAnswerIsNotAMissingRepository(t *testing.T) {
	t.Parallel()
	inner := mem.New()
	initRepo(t, inner, withKey(1), "")
	for n := 1; ; n++ {
		f := fault.New(inner, fault.Rule{N: n, Err: errs.New(errs.Unreachable, "no answer")})
		_, err := Open(t.Context(), OpenOptions{Store: f, Rand: random(2), Credential: withKey(1)})
		if f.Fired() == 0 {
			break
		}
		if !errors.Is(err, errs.Unreachable) || errors.Is(err, errs.NoRepository) || errors.Is(err, errs.Corrupt) || errors.Is(err, errs.WrongKey) {
			t.Errorf("call %d: error %v", n, err)
		}
	}
}

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

func TestASlotIsAddedAndTakenAway(t *testing.T) {
	t.Parallel()
	s := mem.New()
	dir := t.TempDir()
	r := initRepo(t, s, Credential{Password: []byte("one")}, dir)
	w, err := r.Writer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	two, err := r.AddSlot(t.Context(), Credential{Password: []byte("two")}, "second", cheap)
	if err != nil || two.Label != "second" || two.Kind != crypt.SlotPassword {
		t.Fatalf("slot %+v, error %v", two, err)
	}
	words, err := r.AddRecoveryWords(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	old := s.Clone()
	for _, c := range []Credential{{Password: []byte("one")}, {Password: []byte("two")}, {Words: strings.Join(words, " ")}} {
		open(t, s, c, "")
	}
	_, key, err := r.NewHeader(crypt.ClassData)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.RemoveSlot(t.Context(), two.ID); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), OpenOptions{Store: s, Rand: random(2), Credential: Credential{Password: []byte("two")}})
	mustBe(t, "the slot that was taken away", err, errs.WrongKey)
	for _, c := range []Credential{{Password: []byte("one")}, {Words: strings.Join(words, " ")}} {
		x, warned := open(t, s, c, "")
		slots, err := x.ListSlots(t.Context())
		if err != nil || len(slots) != 2 || len(warned.list) != 0 || x.Rights(w.Writer()) == 0 {
			t.Errorf("slots %+v, error %v, warnings %q", slots, err, warned.list)
		}
		h, k, err := x.NewHeader(crypt.ClassData)
		if err != nil || k == key || h.Epoch != 2 {
			t.Errorf("the sealing keys are not new: epoch %d, error %v", h.Epoch, err)
		}
	}
	// What was there before the change does not come back: this machine remembers.
	_, err = Open(t.Context(), OpenOptions{Store: old, Rand: random(2), Credential: Credential{Password: []byte("one")}, StateDir: dir})
	mustBe(t, "the keyring from before", err, errs.Corrupt)
	mustBe(t, "a slot that is not there", r.RemoveSlot(t.Context(), two.ID), errs.NotFound)
	slots, err := r.ListSlots(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.RemoveSlot(t.Context(), slots[0].ID); err != nil {
		t.Fatal(err)
	}
	last, err := r.ListSlots(t.Context())
	if err != nil || len(last) != 1 {
		t.Fatalf("slots %+v, error %v", last, err)
	}
	mustBe(t, "the last slot", r.RemoveSlot(t.Context(), last[0].ID), errs.Usage)
	_, err = r.AddSlot(t.Context(), Credential{}, "", cheap)
	mustBe(t, "an open slot beside others", err, errs.Usage)
}

func TestAnOpenRepositoryIsClosedByAKey(t *testing.T) {
	t.Parallel()
	s := mem.New()
	r := initRepo(t, s, Credential{}, "")
	if _, err := r.Writer(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.AddSlot(t.Context(), Credential{Password: []byte("p")}, "", cheap); err != nil {
		t.Fatal(err)
	}
	if r.Unencrypted() {
		t.Error("it still says that it is open")
	}
	_, err := Open(t.Context(), OpenOptions{Store: s, Rand: random(2)})
	mustBe(t, "without a password", err, errs.WrongKey)
	x, w := open(t, s, Credential{Password: []byte("p")}, "")
	if x.Unencrypted() || len(w.list) != 0 || len(x.Ring().Writers) != 1 {
		t.Errorf("unencrypted %v, warnings %q", x.Unencrypted(), w.list)
	}
	if got := len(s.Names("keys/")); got != 1 {
		t.Errorf("%d slots are left", got)
	}
	if got := len(s.Names("ring/")); got != 1 {
		t.Errorf("%d generations are left", got)
	}
}

func TestAChangeOfTheKeySurvivesEveryFailure(t *testing.T) {
	t.Parallel()
	clean := mem.New()
	r := initRepo(t, clean, withKey(1), "")
	if _, err := r.Writer(t.Context()); err != nil {
		t.Fatal(err)
	}
	two, err := r.AddSlot(t.Context(), withKey(2), "", cheap)
	if err != nil {
		t.Fatal(err)
	}
	for _, when := range []fault.When{fault.Before, fault.After} {
		for _, lasting := range []bool{false, true} {
			for n := 1; ; n++ {
				if lasting && n%3 != 0 {
					continue
				}
				inner := clean.Clone()
				f := fault.New(inner, fault.Rule{N: n, When: when, Lasting: lasting})
				x, _ := open(t, inner, withKey(1), "")
				x.store, x.rand = f, random(40)
				err := x.RemoveSlot(t.Context(), two.ID)
				if f.Fired() == 0 {
					if err != nil {
						t.Fatal(err)
					}
					break
				}
				// The slot that stays opens the repository, and the change can be made again.
				y, _ := open(t, inner, withKey(1), "")
				y.rand = random(41)
				slots, err := y.ListSlots(t.Context())
				if err != nil || len(y.Ring().Writers) != 1 {
					t.Fatalf("call %d: slots %+v, error %v, %d writers", n, slots, err, len(y.Ring().Writers))
				}
				if slices.ContainsFunc(slots, func(i SlotInfo) bool { return i.ID == two.ID }) {
					if err := y.RemoveSlot(t.Context(), two.ID); err != nil {
						t.Fatalf("call %d: again: %v", n, err)
					}
				}
				open(t, inner, withKey(1), "")
			}
		}
	}
}

func TestAddingASlotSurvivesEveryFailure(t *testing.T) {
	t.Parallel()
	clean := mem.New()
	initRepo(t, clean, withKey(1), "")
	for n := 1; ; n++ {
		inner := clean.Clone()
		f := fault.New(inner, fault.Rule{N: n})
		x, _ := open(t, inner, withKey(1), "")
		x.store, x.rand = f, random(40)
		_, err := x.AddSlot(t.Context(), withKey(2), "", cheap)
		if f.Fired() == 0 {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		if err == nil {
			open(t, inner, withKey(2), "")
		}
		open(t, inner, withKey(1), "")
	}
}

func TestTheKeyringIsNotChangedUnderAKeyThatWasTakenAway(t *testing.T) {
	t.Parallel()
	s := mem.New()
	r := initRepo(t, s, withKey(1), "")
	two, err := r.AddSlot(t.Context(), withKey(2), "", cheap)
	if err != nil {
		t.Fatal(err)
	}
	old := s.Clone()
	removed, _ := open(t, s, withKey(2), "")
	removed.rand = random(60)
	if err := r.RemoveSlot(t.Context(), two.ID); err != nil {
		t.Fatal(err)
	}
	// A crash before the old slots were deleted.
	for _, n := range old.Names("") {
		if s.Bytes(n) == nil {
			s.Set(n, old.Bytes(n))
		}
	}
	_, err = removed.Writer(t.Context())
	mustBe(t, "enrolment under the old key", err, errs.Denied)
	x, w := open(t, s, withKey(2), "")
	if !w.has("taken away") || x.Ring().KEK != 1 {
		t.Errorf("warnings %q, key %d", w.list, x.Ring().KEK)
	}
	if y, w := open(t, s, withKey(1), ""); y.Ring().KEK != 2 || w.has("taken away") {
		t.Errorf("the key that stays opens the old keyring: %d, %q", y.Ring().KEK, w.list)
	}
}

func TestAWriterEnrolledWhileTheKeyChangesIsNotLost(t *testing.T) {
	t.Parallel()
	inner := mem.New()
	r := initRepo(t, inner, withKey(1), "")
	two, err := r.AddSlot(t.Context(), withKey(2), "", cheap)
	if err != nil {
		t.Fatal(err)
	}
	f := fault.New(inner)
	r.store = f
	var late id.Writer
	f.SetHook(func(op fault.Op, name string) error {
		if op == fault.Put && strings.HasPrefix(name, "ring/") && late == (id.Writer{}) {
			m, _ := open(t, inner, withKey(2), "")
			m.rand = random(61)
			w, err := m.Writer(t.Context())
			if err != nil {
				return err
			}
			late = w.Writer()
		}
		return nil
	})
	if err := r.RemoveSlot(t.Context(), two.ID); err != nil {
		t.Fatal(err)
	}
	if x, _ := open(t, inner, withKey(1), ""); x.Rights(late) == 0 {
		t.Error("the enrolment under the old key is lost")
	}
}

func TestAKeyIsNotChangedWhileASlotCannotBeRead(t *testing.T) {
	t.Parallel()
	s := mem.New()
	r := initRepo(t, s, withKey(1), "")
	two, err := r.AddSlot(t.Context(), withKey(2), "", cheap)
	if err != nil {
		t.Fatal(err)
	}
	path := "keys/" + two.ID.String() + ".json"
	s.Lose(path)
	s.Lose("dup/" + path)
	slots, err := r.ListSlots(t.Context())
	if err != nil || len(slots) != 1 {
		t.Fatalf("slots %+v, error %v", slots, err)
	}
	mustBe(t, "removal", r.RemoveSlot(t.Context(), slots[0].ID), errs.Corrupt)
}

func TestControlObjects(t *testing.T) {
	t.Parallel()
	s := mem.New()
	r := initRepo(t, s, withKey(1), "")
	ctx := t.Context()
	w, err := r.Writer(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var sid id.Session
	path := record.FatePath(0, sid)
	f := record.Fate{Path: path, Writer: w.Writer(), Session: sid, Kind: record.Commit}
	outer, err := f.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.SealControl(ctx, crypt.ClassFate, path+"x", outer, nil); err == nil {
		t.Error("a record was sealed for another path")
	}
	if _, err := r.SealControl(ctx, crypt.ClassFate, path, []byte{1}, nil); err == nil {
		t.Error("rubbish was sealed")
	}
	b, err := r.SealControl(ctx, crypt.ClassFate, path, outer, []byte("inner"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.ReadControl(ctx, crypt.ClassFate, path)
	mustBe(t, "a fate that is not there", err, errs.NotFound)
	if err := errors.Join(r.put(ctx, path, b), r.PutCopy(ctx, path, b)); err != nil {
		t.Fatal(err)
	}
	good := func(healed bool) {
		t.Helper()
		c, err := r.ReadControl(ctx, crypt.ClassFate, path)
		if err != nil || string(c.Inner) != "inner" || c.Writer != w.Writer() || c.Healed != healed || c.Hash != id.Name(crypt.Sum(b)) {
			t.Fatalf("read %+v, error %v", c, err)
		}
	}
	good(false)
	_, err = r.OpenControl(crypt.ClassTombstone, path, b)
	mustBe(t, "another class", err, errs.Corrupt)
	_, err = r.OpenControl(crypt.ClassFate, path+"x", b)
	mustBe(t, "another path", err, errs.Corrupt)
	s.FlipBit(path, -700)
	good(true)
	s.Lose(path)
	good(true)
	s.Set(path, b)
	s.FlipBit(path, 8*80)
	s.FlipBit(record.DupPath(path), 8*80)
	_, err = r.ReadControl(ctx, crypt.ClassFate, path)
	mustBe(t, "both damaged", err, errs.Corrupt)
	r.store = fault.New(s, fault.Rule{Op: fault.Get, Prefix: "dup/", Err: errs.New(errs.Unreachable, "x")})
	_, err = r.ReadControl(ctx, crypt.ClassFate, path)
	mustBe(t, "a copy that is out of reach", err, errs.Unreachable)
	r.store = s

	// A writer that enrolled after the keyring was read is a stranger until it is read again.
	m, _ := open(t, s, withKey(1), "")
	m.rand = random(70)
	mw, err := m.Writer(ctx)
	if err != nil {
		t.Fatal(err)
	}
	f.Writer = mw.Writer()
	if outer, err = f.Encode(); err != nil {
		t.Fatal(err)
	}
	if b, err = m.SealControl(ctx, crypt.ClassFate, path, outer, nil); err != nil {
		t.Fatal(err)
	}
	_, err = r.OpenControl(crypt.ClassFate, path, b)
	mustBe(t, "a stranger", err, ErrStranger)
	if err := r.Reload(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := r.OpenControl(crypt.ClassFate, path, b); err != nil {
		t.Error(err)
	}
	// So is an epoch that began after it, which must not pass for an object that is not there.
	two, err := m.AddSlot(ctx, withKey(2), "", cheap)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.RemoveSlot(ctx, two.ID); err != nil {
		t.Fatal(err)
	}
	if b, err = m.SealControl(ctx, crypt.ClassFate, path, outer, nil); err != nil {
		t.Fatal(err)
	}
	_, err = r.OpenControl(crypt.ClassFate, path, b)
	mustBe(t, "a later epoch", err, ErrStranger)
	if errors.Is(err, errs.NotFound) {
		t.Error("an epoch that is not known passes for an object that is not there")
	}
}

func TestKeysOfObjects(t *testing.T) {
	t.Parallel()
	s := mem.New()
	r := initRepo(t, s, withKey(1), "")
	x, _ := open(t, s, withKey(1), "")
	for _, c := range []crypt.Class{crypt.ClassData, crypt.ClassMeta, crypt.ClassIndex} {
		h, k, err := r.NewHeader(c)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := x.ObjectKey(h); err != nil || got != k {
			t.Errorf("class %s: another key, error %v", c, err)
		}
	}
	if _, _, err := r.NewHeader(crypt.ClassFate); err == nil {
		t.Error("a control object got a pack's header")
	}
	if d, err := x.DomainOf(r.Domain().Scope()); err != nil || d.Scope() != r.Domain().Scope() {
		t.Errorf("domain %v, error %v", d, err)
	}
	_, err := x.DomainOf(id.Domain{1})
	mustBe(t, "an unknown domain", err, errs.NotFound)
}

func TestTheStateFolderOfARepositoryIsNamedByIt(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s := mem.New()
	r, err := Init(t.Context(), InitOptions{Store: s, Rand: random(1), Credential: withKey(1), StateRoot: root + "/"})
	if err != nil {
		t.Fatal(err)
	}
	if want := root + "/" + r.ID().String(); r.StateDir() != want {
		t.Errorf("state folder %s, want %s", r.StateDir(), want)
	}
	if b, err := r.LoadState("nothing"); b != nil || err != nil {
		t.Errorf("a file that is not there: %q, %v", b, err)
	}
	if err := r.SaveState("x", []byte("1")); err != nil {
		t.Fatal(err)
	}
	if err := r.SaveState("x", []byte("2")); err != nil {
		t.Fatal(err)
	}
	if b, err := r.LoadState("x"); string(b) != "2" || err != nil {
		t.Errorf("state %q, error %v", b, err)
	}
	if err := os.WriteFile(filepath.Join(r.StateDir(), "big"), make([]byte, maxState+1), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = r.LoadState("big")
	mustBe(t, "a file that is too large", err, errs.Corrupt)
	left, err := filepath.Glob(filepath.Join(r.StateDir(), "new-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left over: %q, %v", left, err)
	}
}

func TestAStateFolderThatCannotBeWrittenKeepsNobodyFromReading(t *testing.T) {
	t.Parallel()
	s := mem.New()
	initRepo(t, s, withKey(1), "")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// A folder below a file can be neither read nor made.
	w := &warnings{}
	_, err := Open(t.Context(), OpenOptions{Store: s, Rand: random(2), Credential: withKey(1), StateDir: filepath.Join(file, "x"), Events: w.take})
	if err != nil {
		if _, serr := os.Stat(filepath.Join(file, "x")); !errors.Is(serr, os.ErrNotExist) {
			t.Skip("needs a system that says of a folder below a file that it is not there")
		}
		t.Fatal(err)
	}
}

func TestMemoryOfAStateWithoutAFolder(t *testing.T) {
	t.Parallel()
	st := newState("")
	if exists, err := st.create("k", []byte("1")); exists || err != nil {
		t.Errorf("exists %v, error %v", exists, err)
	}
	if exists, err := st.create("k", []byte("2")); !exists || err != nil {
		t.Errorf("exists %v, error %v", exists, err)
	}
	if b, err := st.load("k"); string(b) != "1" || err != nil {
		t.Errorf("state %q, error %v", b, err)
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

func TestRubbishBesideTheObjectsIsPassedOver(t *testing.T) {
	t.Parallel()
	s := mem.New()
	initRepo(t, s, withKey(1), "")
	for _, n := range []string{"ring/x", "keys/x", "keys/x.json", "keys/0000000000000000.json", "ring/00000009-" + strings.Repeat("0", 64)} {
		s.Set(n, []byte("rubbish"))
	}
	r, w := open(t, s, withKey(1), "")
	if !w.has("key slot") || !w.has("ring/00000009") {
		t.Errorf("warnings %q", w.list)
	}
	// Nor does it keep anybody from enrolling.
	if _, err := r.Writer(t.Context()); err != nil {
		t.Error(err)
	}
	if r.Ring().Generation != 10 {
		t.Errorf("generation %d", r.Ring().Generation)
	}
}

func TestAnEndedContextEndsInit(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	<-ctx.Done()
	_, err := Init(ctx, InitOptions{Store: mem.New(), Rand: random(1), Credential: withKey(1)})
	mustBe(t, "init", err, context.DeadlineExceeded)
}

func TestTwoChangesOfTheKeyAtOnceLockNobodyOut(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"keys/", "ring/"} {
		inner := mem.New()
		r := initRepo(t, inner, withKey(1), "")
		two, err := r.AddSlot(t.Context(), withKey(2), "", cheap)
		if err != nil {
			t.Fatal(err)
		}
		three, err := r.AddSlot(t.Context(), withKey(3), "", cheap)
		if err != nil {
			t.Fatal(err)
		}
		f := fault.New(inner)
		r.store = f
		done := false
		f.SetHook(func(op fault.Op, name string) error {
			if op != fault.Put || !strings.HasPrefix(name, at) || done {
				return nil
			}
			done = true
			m, _ := open(t, inner, withKey(1), "")
			m.rand = random(80)
			return m.RemoveSlot(t.Context(), three.ID)
		})
		err = r.RemoveSlot(t.Context(), two.ID)
		mustBe(t, "the change that looks last", err, errs.Temporary)
		x, w := open(t, inner, withKey(1), "")
		slots, err := x.ListSlots(t.Context())
		if err != nil || len(slots) != 2 || len(w.list) != 0 {
			t.Errorf("at %s: slots %+v, error %v, warnings %q", at, slots, err, w.list)
		}
		open(t, inner, withKey(2), "")
		_, err = Open(t.Context(), OpenOptions{Store: inner, Rand: random(2), Credential: withKey(3)})
		mustBe(t, "the slot that was taken away", err, errs.WrongKey)
	}
}

func TestASlotWhoseAdditionWasCutOffIsSeenAndTakenAway(t *testing.T) {
	t.Parallel()
	inner := mem.New()
	initRepo(t, inner, withKey(1), "")
	x, _ := open(t, inner, withKey(1), "")
	x.store, x.rand = fault.New(inner, fault.Rule{Op: fault.Put, Prefix: "ring/", Lasting: true}), random(40)
	if _, err := x.AddSlot(t.Context(), withKey(2), "", cheap); err == nil {
		t.Fatal("no failure")
	}
	y, _ := open(t, inner, withKey(2), "") // it opens
	y.rand = random(41)
	slots, err := y.ListSlots(t.Context())
	if err != nil || len(slots) != 2 || slots[0].Unlisted == slots[1].Unlisted {
		t.Fatalf("slots %+v, error %v", slots, err)
	}
	for _, s := range slots {
		if s.Unlisted {
			if err := y.RemoveSlot(t.Context(), s.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	_, err = Open(t.Context(), OpenOptions{Store: inner, Rand: random(2), Credential: withKey(2)})
	mustBe(t, "the slot that was taken away", err, errs.WrongKey)
	open(t, inner, withKey(1), "")
}
