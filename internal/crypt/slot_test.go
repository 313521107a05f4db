package crypt

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"filippo.io/age"
	"pgregory.net/rapid"

	"github.com/nacre-backup/nacre/internal/errs"
)

var (
	testSpec = SlotSpec{Repository: testRepo, Label: "laptop \"x\"\n,", Created: testTime}
	testKEK  = KEK{Key: countingKey(0xA0), Number: 7}
)

// slots makes a slot of each kind and what opens it.
func slots(t *testing.T) map[string]struct {
	s *Slot
	u Unlock
} {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]struct {
		s *Slot
		u Unlock
	}{}
	add := func(kind string, s *Slot, err error, u Unlock) {
		if err != nil {
			t.Fatal(err)
		}
		out[kind] = struct {
			s *Slot
			u Unlock
		}{s, u}
	}
	s, err := NewPasswordSlot(seeded(1), testSpec, []byte("päss word"), cheap, testKEK)
	add(SlotPassword, s, err, Unlock{Password: []byte("päss word")})
	s, err = NewKeyfileSlot(seeded(2), testSpec, countingKey(3), testKEK)
	add(SlotKeyfile, s, err, Unlock{Key: countingKey(3)})
	s, err = NewOpenSlot(seeded(3), testSpec, testKEK)
	add(SlotOpen, s, err, Unlock{})
	s, err = NewAgeSlot(seeded(4), testSpec, []age.Recipient{identity.Recipient()}, testKEK)
	add(SlotAge, s, err, Unlock{Identities: []age.Identity{identity}})
	return out
}

func TestASlotOpensWithWhatItWasMadeFor(t *testing.T) {
	t.Parallel()
	stranger, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	wrong := Unlock{Password: []byte("pass word"), Key: countingKey(4), Identities: []age.Identity{stranger}}
	for kind, c := range slots(t) {
		s, err := ParseSlot(testRepo, c.s.ID, c.s.Bytes())
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if s.Kind != kind || s.Label != testSpec.Label || !s.Created.Equal(testTime) || s.Hash() != Sum(c.s.Bytes()) {
			t.Errorf("%s: it says %q, %q, %v", kind, s.Kind, s.Label, s.Created)
		}
		if s.Path() != "keys/"+s.ID.String()+".json" {
			t.Errorf("%s: path %s", kind, s.Path())
		}
		if got, err := s.Open(c.u); err != nil || got != testKEK || !s.Fits(c.u) {
			t.Errorf("%s: %v", kind, err)
		}
		if kind == SlotOpen {
			continue
		}
		if _, err := s.Open(wrong); !errors.Is(err, errs.WrongKey) || errors.Is(err, errs.Corrupt) {
			t.Errorf("%s with the wrong secret: %v", kind, err)
		}
		if _, err := s.Open(Unlock{}); !errors.Is(err, errs.WrongKey) || s.Fits(Unlock{}) {
			t.Errorf("%s with nothing: %v", kind, err)
		}
	}
}

func TestADamagedSlotIsNeverCalledAWrongPassword(t *testing.T) {
	t.Parallel()
	for kind, c := range slots(t) {
		file := c.s.Bytes()
		check := func(what string, b []byte) {
			t.Helper()
			_, err := ParseSlot(testRepo, c.s.ID, b)
			if !errors.Is(err, errs.Corrupt) || errors.Is(err, errs.WrongKey) || errors.Is(err, errs.Unsupported) {
				t.Fatalf("%s: %s: %v", kind, what, err)
			}
		}
		for i := range file {
			b := bytes.Clone(file)
			b[i] ^= 1 << (i % 8)
			check(fmt.Sprintf("byte %d flipped", i), b)
			check(fmt.Sprintf("cut to %d bytes", i), file[:i])
		}
		check("a byte more", append(bytes.Clone(file), '\n'))
		check("line ends of another system", bytes.ReplaceAll(file, []byte("\n"), []byte("\r\n")))
		check("too large", make([]byte, maxJSONFile+1))
	}
}

// edit changes members of a slot and mends its checksum, as an attacker does.
func edit(t *testing.T, s *Slot, change func(m *slotFile, wrapped *string)) []byte {
	t.Helper()
	f := s.file
	if f.Argon2id != nil {
		a := *f.Argon2id
		f.Argon2id = &a
	}
	var w struct {
		Wrapped string `json:"wrapped"`
	}
	if err := json.Unmarshal(s.Bytes(), &w); err != nil {
		t.Fatal(err)
	}
	change(&f, &w.Wrapped)
	head, err := openObject(f)
	if err != nil {
		t.Fatal(err)
	}
	head = append(head, wrappedKey+w.Wrapped+`"`...)
	return closeObject(head)
}

func TestAForgedSlotIsFoundOut(t *testing.T) {
	t.Parallel()
	all := slots(t)
	other, err := NewKeyfileSlot(seeded(9), testSpec, countingKey(3), KEK{Key: countingKey(1)})
	if err != nil {
		t.Fatal(err)
	}
	otherAge := all[SlotAge].s
	for _, c := range []struct {
		name, slot string
		change     func(f *slotFile, wrapped *string)
		kind       error
	}{
		{"a later version", SlotKeyfile, func(f *slotFile, _ *string) { f.Version = 2 }, errs.Unsupported},
		{"an unknown kind", SlotKeyfile, func(f *slotFile, _ *string) { f.Kind = "retina" }, errs.Unsupported},
		{"no slot at all", SlotKeyfile, func(f *slotFile, _ *string) { f.Nacre = "recipe" }, errs.Corrupt},
		{"another repository", SlotKeyfile, func(f *slotFile, _ *string) { f.Repository = strings.Repeat("0", 32) }, errs.Corrupt},
		{"another slot", SlotKeyfile, func(f *slotFile, _ *string) { f.Slot = strings.Repeat("0", 16) }, errs.Corrupt},
		{"no time", SlotKeyfile, func(f *slotFile, _ *string) { f.Created = "yesterday" }, errs.Corrupt},
		{"another label", SlotKeyfile, func(f *slotFile, _ *string) { f.Label = "trusted" }, errs.Corrupt},
		{"another slot's wrapped key", SlotKeyfile, func(_ *slotFile, w *string) { *w = wrappedOf(t, other) }, errs.Corrupt},
		{"a short wrapped key", SlotKeyfile, func(_ *slotFile, w *string) { *w = "AAAA" }, errs.Corrupt},
		{"no base64", SlotKeyfile, func(_ *slotFile, w *string) { *w = "!" }, errs.Corrupt},
		{"another public half", SlotKeyfile, func(f *slotFile, _ *string) { f.Public = otherAge.file.Public }, errs.WrongKey},
		{"lower costs", SlotPassword, func(f *slotFile, _ *string) { f.Argon2id.Memory = 32 }, errs.WrongKey},
		{"no costs", SlotPassword, func(f *slotFile, _ *string) { f.Argon2id = nil }, errs.Corrupt},
		{"no time cost", SlotPassword, func(f *slotFile, _ *string) { f.Argon2id.Time = 0 }, errs.Unsupported},
		{"endless time", SlotPassword, func(f *slotFile, _ *string) { f.Argon2id.Time = 17 }, errs.Unsupported},
		{"all memory", SlotPassword, func(f *slotFile, _ *string) { f.Argon2id.Memory = 1<<20 + 1 }, errs.Unsupported},
		{"no memory", SlotPassword, func(f *slotFile, _ *string) { f.Argon2id.Memory = 7 }, errs.Unsupported},
		{"no threads", SlotPassword, func(f *slotFile, _ *string) { f.Argon2id.Threads = 0 }, errs.Unsupported},
		{"many threads", SlotPassword, func(f *slotFile, _ *string) { f.Argon2id.Threads, f.Argon2id.Memory = 17, 1000 }, errs.Unsupported},
		{"a short salt", SlotPassword, func(f *slotFile, _ *string) { f.Argon2id.Salt = "00" }, errs.Corrupt},
		{"no salt", SlotPassword, func(f *slotFile, _ *string) { f.Argon2id.Salt = "salt" }, errs.Corrupt},
		{"a short secret", SlotOpen, func(f *slotFile, _ *string) { f.Secret = "00" }, errs.Corrupt},
		{"no secret", SlotOpen, func(f *slotFile, _ *string) { f.Secret = "x" }, errs.Corrupt},
		{"another secret", SlotOpen, func(f *slotFile, _ *string) { f.Secret = strings.Repeat("0", 64) }, errs.WrongKey},
		{"no age file", SlotAge, func(f *slotFile, _ *string) { f.Age = base64.StdEncoding.EncodeToString([]byte("age")) }, errs.Corrupt},
		{"no base64 of an age file", SlotAge, func(f *slotFile, _ *string) { f.Age = "!" }, errs.Corrupt},
		{"a long age file", SlotAge, func(f *slotFile, _ *string) { f.Age = longAge(t, all[SlotAge].u, 33) }, errs.Corrupt},
		{"a short age file", SlotAge, func(f *slotFile, _ *string) { f.Age = longAge(t, all[SlotAge].u, 31) }, errs.Corrupt},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			x := all[c.slot]
			s, err := ParseSlot(testRepo, x.s.ID, edit(t, x.s, c.change))
			if err == nil {
				_, err = s.Open(x.u)
			}
			if !errors.Is(err, c.kind) {
				t.Errorf("got %v", err)
			}
		})
	}
	s := all[SlotKeyfile].s
	bare := closeObject(s.head)
	if _, err := ParseSlot(testRepo, s.ID, bare); !errors.Is(err, errs.Corrupt) {
		t.Errorf("no wrapped key: %v", err)
	}
	if _, err := ParseSlot(testRepo, s.ID, closeObject([]byte(`{"nacre": 5`))); !errors.Is(err, errs.Corrupt) {
		t.Errorf("JSON of another shape: %v", err)
	}
}

func wrappedOf(t *testing.T, s *Slot) string {
	t.Helper()
	var w struct {
		Wrapped string `json:"wrapped"`
	}
	if err := json.Unmarshal(s.Bytes(), &w); err != nil {
		t.Fatal(err)
	}
	return w.Wrapped
}

// longAge is an age file of n bytes for the identity in u.
func longAge(t *testing.T, u Unlock, n int) string {
	t.Helper()
	var buf bytes.Buffer
	w, err := age.Encrypt(&buf, u.Identities[0].(*age.X25519Identity).Recipient())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, n)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(buf.Bytes())
}

func TestTheKeyCanBeChangedWithoutTheSecrets(t *testing.T) {
	t.Parallel()
	next := KEK{Key: countingKey(0xB0), Number: 8}
	for kind, c := range slots(t) {
		s, err := c.s.Rewrap(seeded(20), next)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if s.ID == c.s.ID || s.Kind != kind || s.Label != c.s.Label {
			t.Errorf("%s became slot %s, %q, %q", kind, s.ID, s.Kind, s.Label)
		}
		if got, err := s.Open(c.u); err != nil || got != next {
			t.Errorf("%s does not open: %v", kind, err)
		}
		if got, err := c.s.Open(c.u); err != nil || got != testKEK {
			t.Errorf("the old %s does not open: %v", kind, err)
		}
	}
	s := *slots(t)[SlotKeyfile].s
	for _, public := range []string{"!", "AAAA"} {
		s.file.Public = public
		if _, err := s.Rewrap(seeded(1), next); !errors.Is(err, errs.Corrupt) {
			t.Errorf("public half %q: %v", public, err)
		}
	}
}

func TestSlotsThatProtectNothingAreNotMade(t *testing.T) {
	t.Parallel()
	if _, err := NewPasswordSlot(seeded(1), testSpec, nil, cheap, testKEK); !errors.Is(err, errs.Usage) {
		t.Errorf("an empty password: %v", err)
	}
	if _, err := NewKeyfileSlot(seeded(1), testSpec, Key{}, testKEK); !errors.Is(err, errs.Usage) {
		t.Errorf("a key of zeros: %v", err)
	}
	if _, err := NewPasswordSlot(seeded(1), testSpec, []byte("x"), Argon2{Time: 1}, testKEK); !errors.Is(err, errs.Unsupported) {
		t.Errorf("costs of zero: %v", err)
	}
	if _, err := NewAgeSlot(seeded(1), testSpec, nil, testKEK); err == nil {
		t.Error("an age slot for nobody")
	}
	empty := bytes.NewReader(nil)
	for name, f := range map[string]func() (*Slot, error){
		"password": func() (*Slot, error) { return NewPasswordSlot(empty, testSpec, []byte("x"), cheap, testKEK) },
		"keyfile":  func() (*Slot, error) { return NewKeyfileSlot(empty, testSpec, countingKey(1), testKEK) },
		"open":     func() (*Slot, error) { return NewOpenSlot(empty, testSpec, testKEK) },
		"age":      func() (*Slot, error) { return NewAgeSlot(empty, testSpec, nil, testKEK) },
	} {
		if _, err := f(); err == nil {
			t.Errorf("%s slot was made without random bytes", name)
		}
	}
}

func TestTheDefaultCostOfAPasswordIsThatOfTheDesign(t *testing.T) {
	t.Parallel()
	s, err := NewPasswordSlot(seeded(1), testSpec, []byte("x"), Argon2{}, testKEK)
	if err != nil {
		t.Fatal(err)
	}
	if a := s.file.Argon2id; a.Time != 3 || a.Memory != 64<<10 || a.Threads != 4 {
		t.Errorf("t=%d m=%d p=%d", a.Time, a.Memory, a.Threads)
	}
}

func TestSlotIDsAreSixteenDigits(t *testing.T) {
	t.Parallel()
	s, err := ParseSlotID("00112233aabbccff")
	if err != nil || s.String() != "00112233aabbccff" {
		t.Errorf("%s, %v", s, err)
	}
	for _, bad := range []string{"", "00112233aabbccf", "00112233AABBCCFF", "00112233aabbccffee", "00112233aabbccfg"} {
		if _, err := ParseSlotID(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestNacreJSONSaysWhereAStrangerIs(t *testing.T) {
	t.Parallel()
	file := NewBootstrap(testRepo, testTime)
	b, err := ParseBootstrap(file)
	if err != nil || b.Repository != testRepo || !b.Created.Equal(testTime) || b.Version != 1 || b.ReadOnly {
		t.Fatalf("%+v, %v", b, err)
	}
	golden(t, "nacre.json", string(file))
	for i := range file {
		bad := bytes.Clone(file)
		bad[i] ^= 1 << (i % 8)
		if _, err := ParseBootstrap(bad); !errors.Is(err, errs.Corrupt) {
			t.Fatalf("byte %d flipped: %v", i, err)
		}
	}
	again := func(old, new string) []byte {
		head, err := checkObject(file, &struct{}{})
		if err != nil {
			t.Fatal(err)
		}
		return closeObject(bytes.Replace(head, []byte(old), []byte(new), 1))
	}
	for _, c := range []struct {
		old, new string
		kind     error
	}{
		{`"version": 1`, `"version": 2`, errs.Unsupported},
		{`"need_read": []`, `"need_read": ["x"]`, errs.Unsupported},
		{`"format": "nacre"`, `"format": "other"`, errs.Corrupt},
		{`"repository": "1`, `"repository": "X`, errs.Corrupt},
		{`"created": "2`, `"created": "x`, errs.Corrupt},
		{`"version": 1`, `"version": "1"`, errs.Corrupt},
	} {
		if _, err := ParseBootstrap(again(c.old, c.new)); !errors.Is(err, c.kind) {
			t.Errorf("%s: %v", c.new, err)
		} else if errors.Is(c.kind, errs.Unsupported) && errs.Hint(err) == "" {
			t.Errorf("%s: no hint", c.new)
		}
	}
	if b, err := ParseBootstrap(again(`"need_write": []`, `"need_write": ["x"]`)); err != nil || !b.ReadOnly {
		t.Errorf("an unknown feature for writers: %+v, %v", b, err)
	}
	if _, err := ParseBootstrap(again(`"need_write"`, `"new_member": 5, "need_write"`)); err != nil {
		t.Errorf("an unknown member: %v", err)
	}
}

func TestRecoveryWordsAreThoseOfBIP39(t *testing.T) {
	t.Parallel()
	if sum := len(english); sum != 2048 || english[0] != "abandon" || english[2047] != "zoo" {
		t.Fatalf("the list has %d words", sum)
	}
	fill := func(b byte) (k Key) {
		for i := range k {
			k[i] = b
		}
		return k
	}
	// From the test vectors of BIP-39.
	for b, want := range map[byte]string{
		0x00: strings.Repeat("abandon ", 23) + "art",
		0x7F: strings.Repeat("legal winner thank year wave sausage worth useful ", 2) + "legal winner thank year wave sausage worth title",
		0x80: strings.Repeat("letter advice cage absurd amount doctor acoustic avoid ", 2) + "letter advice cage absurd amount doctor acoustic bless",
		0xFF: strings.Repeat("zoo ", 23) + "vote",
	} {
		if got := strings.Join(Words(fill(b)), " "); got != want {
			t.Errorf("key of %#x: %s", b, got)
		}
		if k, err := ParseWords(want); err != nil || k != fill(b) {
			t.Errorf("words of %#x: %v", b, err)
		}
	}
}

func TestRecoveryWordsReadBackHoweverTheyAreTyped(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var k Key
		copy(k[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key"))
		words := Words(k)
		if len(words) != 24 {
			t.Fatalf("%d words", len(words))
		}
		short := make([]string, len(words))
		for i, w := range words {
			short[i] = strings.ToUpper(w[:min(4, len(w))])
		}
		for _, text := range []string{strings.Join(words, " "), "  " + strings.Join(words, "\n\t") + "\r\n", strings.Join(short, " ")} {
			if got, err := ParseWords(text); err != nil || got != k {
				t.Fatalf("%q: %v", text, err)
			}
		}
	})
}

func TestWrongRecoveryWordsAreToldApartAndNotRepeated(t *testing.T) {
	t.Parallel()
	words := Words(countingKey(1))
	with := func(i int, w string) string {
		c := append([]string(nil), words...)
		c[i] = w
		return strings.Join(c, " ")
	}
	for _, c := range []struct{ name, text, say string }{
		{"too few", strings.Join(words[1:], " "), "23 words"},
		{"none", "", "0 words"},
		{"unknown word", with(6, "hunter2"), "word 7 "},
		{"three letters of a longer word", with(6, "aba"), "word 7 "},
		{"a word with a letter too many", with(6, "abandonx"), "word 7 "},
		{"another word", with(6, "zoo"), "checksum"},
	} {
		_, err := ParseWords(c.text)
		if !errors.Is(err, errs.WrongKey) || !strings.Contains(err.Error(), c.say) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestKeyfilesReadBackAndDamageShows(t *testing.T) {
	t.Parallel()
	k := countingKey(1)
	text := FormatKeyfile(k, testRepo)
	golden(t, "keyfile.golden", string(text))
	for name, in := range map[string][]byte{
		"as written":         text,
		"with line ends":     bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")),
		"without comments":   text[bytes.Index(text, []byte(keyfileTag)):],
		"as words":           []byte("# my words\n" + strings.Join(Words(k)[:12], " ") + "\n" + strings.Join(Words(k)[12:], " ") + "\n"),
		"without a last end": bytes.TrimSpace(text),
	} {
		if got, err := ParseKeyfile(in); err != nil || got != k {
			t.Errorf("%s: %v", name, err)
		}
	}
	line := bytes.Index(text, []byte(keyfileTag))
	for i := line; i < len(text)-1; i++ {
		b := bytes.Clone(text)
		b[i] ^= 1
		if _, err := ParseKeyfile(b); !errors.Is(err, errs.Corrupt) {
			t.Fatalf("byte %d flipped: %v", i, err)
		}
	}
	for name, in := range map[string]string{
		"empty": "", "some other file": "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n", "too large": strings.Repeat("x", maxJSONFile+1),
		"a short key": keyfileTag + " 00 00000000",
	} {
		if _, err := ParseKeyfile([]byte(in)); !errors.Is(err, errs.Corrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseSlot(f *testing.F) {
	s, err := NewKeyfileSlot(seeded(2), testSpec, countingKey(3), testKEK)
	if err != nil {
		f.Fatal(err)
	}
	head, _ := checkObject(s.Bytes(), &struct{}{})
	f.Add(head)
	f.Add([]byte(`{"nacre": "key slot"`))
	f.Fuzz(func(t *testing.T, head []byte) {
		p, err := ParseSlot(testRepo, s.ID, closeObject(head))
		if err != nil {
			if !errors.Is(err, errs.Corrupt) && !errors.Is(err, errs.Unsupported) {
				t.Fatalf("failure without a kind: %v", err)
			}
			return
		}
		if p.Kind == SlotPassword {
			return // its cost is the input's to say
		}
		if k, err := p.Open(Unlock{Key: countingKey(3)}); err == nil && p.Kind == SlotKeyfile && k != testKEK {
			t.Fatal("another key than the one that was wrapped")
		}
	})
}

func FuzzParseText(f *testing.F) {
	f.Add(string(FormatKeyfile(countingKey(1), testRepo)))
	f.Add(strings.Join(Words(countingKey(1)), " "))
	f.Add(string(NewBootstrap(testRepo, testTime)))
	f.Fuzz(func(t *testing.T, s string) {
		if k, err := ParseWords(s); err == nil {
			if again, err := ParseWords(strings.Join(Words(k), " ")); err != nil || again != k {
				t.Fatal("words do not read back")
			}
		}
		if k, err := ParseKeyfile([]byte(s)); err == nil {
			if again, err := ParseKeyfile(FormatKeyfile(k, testRepo)); err != nil || again != k {
				t.Fatal("a keyfile does not read back")
			}
		}
		if _, err := ParseBootstrap([]byte(s)); err != nil && !errors.Is(err, errs.Corrupt) && !errors.Is(err, errs.Unsupported) {
			t.Fatalf("failure without a kind: %v", err)
		}
	})
}

func BenchmarkOpenKeyfileSlot(b *testing.B) {
	s, err := NewKeyfileSlot(rand.NewChaCha8([32]byte{1}), testSpec, countingKey(3), testKEK)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.Open(Unlock{Key: countingKey(3)}); err != nil {
			b.Fatal(err)
		}
	}
}
