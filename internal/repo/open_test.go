package repo

import (
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/store"
	"github.com/nacre-backup/nacre/internal/store/fault"
	"github.com/nacre-backup/nacre/internal/store/mem"
)

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
	if err != nil || len(w.list) == 0 {
		t.Errorf("error %v, warnings %q", err, w.list)
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
