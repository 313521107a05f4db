package repo

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/nacre-backup/nacre/internal/clock"
	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/store"
	"github.com/nacre-backup/nacre/internal/store/fault"
	"github.com/nacre-backup/nacre/internal/store/mem"
)

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

func TestAnEndedContextEndsInit(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	<-ctx.Done()
	_, err := Init(ctx, InitOptions{Store: mem.New(), Rand: random(1), Credential: withKey(1)})
	mustBe(t, "init", err, context.DeadlineExceeded)
}
