package record

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func sid(n byte) (s id.Session) {
	for i := range s {
		s[i] = n + byte(i)
	}
	return s
}

func name(n byte) (v id.Name) {
	for i := range v {
		v[i] = n ^ byte(i)
	}
	return v
}

// kind is one kind of record: how it is made at random and brought to bytes and back.
type kind struct {
	name   string
	golden any
	encode func(any) ([]byte, error)
	decode func([]byte) (any, error)
	draw   func(*rapid.T) any
}

func kindOf[T any](name string, golden *T, encode func(*T) ([]byte, error), decode func([]byte) (*T, error), draw func(*rapid.T) *T) kind {
	return kind{
		name: name, golden: golden,
		encode: func(v any) ([]byte, error) { return encode(v.(*T)) },
		decode: func(b []byte) (any, error) {
			v, err := decode(b)
			if err != nil { // keep a nil pointer out of the interface
				return nil, err
			}
			return v, nil
		},
		draw: func(t *rapid.T) any { return draw(t) },
	}
}

func drawSid(t *rapid.T, what string) (s id.Session) {
	copy(s[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, what))
	return s
}

func drawName(t *rapid.T) (n id.Name) {
	copy(n[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "name"))
	return n
}

func drawWriter(t *rapid.T) (w id.Writer) {
	copy(w[:], rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "writer"))
	return w
}

func several[T any](t *rapid.T, what string, one func(*rapid.T) T) []T {
	var out []T
	for range rapid.IntRange(0, 4).Draw(t, what) {
		out = append(out, one(t))
	}
	return out
}

func drawPacks(t *rapid.T, own id.Session) []Pack {
	return several(t, "packs", func(t *rapid.T) Pack {
		p := Pack{
			Class: rapid.SampledFrom([]byte("DM")).Draw(t, "class"), Session: own, N: rapid.Uint32().Draw(t, "n"),
			Size: rapid.Int64Range(0, 1<<40).Draw(t, "size"), Name: drawName(t),
		}
		if rapid.Bool().Draw(t, "foreign") {
			p.Session = drawSid(t, "session")
		}
		return p
	})
}

func words(t *rapid.T) string { return rapid.String().Draw(t, "text") }

func kinds() []kind {
	return []kind{
		kindOf("session", &Session{
			Path: SessionPath(0, sid(1)), Writer: id.Writer{1, 2, 3, 4, 5, 6, 7, 8}, Session: sid(1), Use: Write,
			Pins:    []id.Session{sid(2), sid(3)},
			Process: Process{Machine: "m", Boot: "b", Namespace: "pid:[1]", PID: 4711, Start: 99},
			Program: "nacre 0.1", Ring: 2, Time: 1_700_000_000_000_000_000,
		}, (*Session).Encode, DecodeSession, func(t *rapid.T) *Session {
			return &Session{
				Path: words(t), Writer: drawWriter(t), Session: drawSid(t, "sid"), Era: rapid.Uint32().Draw(t, "era"),
				Use:  Use(rapid.IntRange(1, 3).Draw(t, "use")),
				Pins: several(t, "pins", func(t *rapid.T) id.Session { return drawSid(t, "pin") }),
				Process: Process{
					Machine: words(t), Boot: words(t), Namespace: words(t), PID: rapid.Uint64().Draw(t, "pid"),
					Start: rapid.Uint64().Draw(t, "start"),
				},
				Program: words(t), Ring: rapid.Uint32().Draw(t, "ring"), Time: rapid.Int64().Draw(t, "time"),
			}
		}),
		kindOf("heartbeat", &Beat{
			Path: HeartbeatPath(0, sid(1), 7), Writer: id.Writer{9}, Session: sid(1), Count: 7,
		}, (*Beat).Encode, DecodeBeat, func(t *rapid.T) *Beat {
			return &Beat{Path: words(t), Writer: drawWriter(t), Session: drawSid(t, "sid"), Count: rapid.Uint32().Draw(t, "k")}
		}),
		kindOf("fate", &Fate{
			Path: FatePath(0, sid(1)), Writer: id.Writer{9}, Session: sid(1), Kind: Commit,
			Packs: []Pack{{'D', sid(1), 0, 1 << 25, name(1)}, {'M', sid(4), 3, 1000, name(2)}}, Gone: []Pack{{'D', sid(5), 1, 2, name(3)}},
			Indexes: []id.Name{name(4)}, Replaces: []id.Name{name(5), name(6)}, Heads: []Head{{sid(6), name(7)}},
			Sequence: 12, Ring: 3, Time: 1_700_000_000_000_000_001,
		}, (*Fate).Encode, DecodeFate, func(t *rapid.T) *Fate {
			own := drawSid(t, "sid")
			names := func(t *rapid.T) id.Name { return drawName(t) }
			return &Fate{
				Path: words(t), Writer: drawWriter(t), Session: own, Era: rapid.Uint32().Draw(t, "era"),
				Kind: Kind(rapid.IntRange(1, 6).Draw(t, "kind")), Packs: drawPacks(t, own), Gone: drawPacks(t, own),
				Indexes: several(t, "indexes", names), Replaces: several(t, "replaces", names),
				Heads:    several(t, "heads", func(t *rapid.T) Head { return Head{drawSid(t, "head"), drawName(t)} }),
				Sequence: rapid.Uint64().Draw(t, "sequence"), Ring: rapid.Uint32().Draw(t, "ring"),
				Killer: drawSid(t, "killer"), Reason: words(t), Time: rapid.Int64().Draw(t, "time"),
			}
		}),
		kindOf("kill", &Fate{
			Path: KilledPath(2, sid(1)), Writer: id.Writer{9}, Session: sid(1), Era: 2, Kind: Killed, Killer: sid(8),
			Reason: "silent", Time: -5,
		}, (*Fate).Encode, DecodeFate, func(t *rapid.T) *Fate {
			return &Fate{Path: words(t), Session: drawSid(t, "sid"), Kind: Killed, Killer: drawSid(t, "killer"), Reason: words(t)}
		}),
		kindOf("snapshot", &Snapshot{
			Host: "host", User: "user", Paths: [][]byte{[]byte("/home"), {'/', 0xff}}, Tags: []string{"a", "b"}, Name: "daily",
			Time: 10, Start: 20, End: 30, Root: []byte{1, 2, 3}, Domain: id.Domain{4}, Stats: Stats{
				1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
			},
			Errors: []Error{{[]byte("home/x"), 2, "permission denied"}}, Parent: sid(2), Excludes: []string{"*.tmp"},
			Program: "nacre 0.1", Upto: &Upto{Dir: []byte("home"), Name: []byte("y")}, Original: sid(3), Source: "files",
		}, (*Snapshot).Encode, DecodeSnapshot, drawSnapshot),
		kindOf("tombstone", &Tombstone{
			Path: TombstonePath(sid(1)), Writer: id.Writer{9}, Session: sid(1), Window: 7 * 86400e9, Time: 5, Successor: sid(2),
			Reason: "forget",
		}, (*Tombstone).Encode, DecodeTombstone, func(t *rapid.T) *Tombstone {
			return &Tombstone{
				Path: words(t), Writer: drawWriter(t), Session: drawSid(t, "sid"), Window: rapid.Int64Range(0, 1<<62).Draw(t, "window"),
				Time: rapid.Int64().Draw(t, "time"), Successor: drawSid(t, "successor"), Reason: words(t),
			}
		}),
		kindOf("era", &Era{
			Path: EraPath(2), Writer: id.Writer{9}, Number: 2, Time: 7,
		}, (*Era).Encode, DecodeEra, func(t *rapid.T) *Era {
			return &Era{
				Path: words(t), Writer: drawWriter(t), Number: rapid.Uint32Min(1).Draw(t, "era"), Time: rapid.Int64().Draw(t, "time"),
			}
		}),
		kindOf("condemned", &Condemned{
			Path: CondemnedPath(sid(1)), Writer: id.Writer{9}, ID: sid(1), Packs: []Pack{{'M', sid(2), 3, 4, name(5)}}, Time: 6,
		}, (*Condemned).Encode, DecodeCondemned, func(t *rapid.T) *Condemned {
			own := drawSid(t, "gid")
			return &Condemned{
				Path: words(t), Writer: drawWriter(t), ID: own, Packs: drawPacks(t, own), Time: rapid.Int64().Draw(t, "time"),
				Wait: several(t, "wait", func(t *rapid.T) id.Session { return drawSid(t, "sid") }),
			}
		}),
	}
}

func drawSnapshot(t *rapid.T) *Snapshot {
	raw := func(t *rapid.T) []byte { return rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(t, "bytes") }
	u := func() uint64 { return rapid.Uint64().Draw(t, "figure") }
	s := &Snapshot{
		Host: words(t), User: words(t), Paths: several(t, "paths", raw), Tags: several(t, "tags", words), Name: words(t),
		Time: rapid.Int64().Draw(t, "time"), Start: rapid.Int64().Draw(t, "start"), End: rapid.Int64().Draw(t, "end"),
		Root: raw(t), Stats: Stats{u(), u(), u(), u(), u(), u(), u(), u(), u(), u(), u(), u(), u(), u()},
		Errors: several(t, "errors", func(t *rapid.T) Error { return Error{raw(t), rapid.Byte().Draw(t, "class"), words(t)} }),
		Parent: drawSid(t, "parent"), Excludes: several(t, "excludes", words), Program: words(t),
		Original: drawSid(t, "original"), Source: words(t),
	}
	copy(s.Domain[:], raw(t))
	if rapid.Bool().Draw(t, "checkpoint") {
		s.Upto = &Upto{Dir: raw(t), Name: raw(t)}
	}
	return s
}

func TestEveryRecordComesBackAsItWas(t *testing.T) {
	t.Parallel()
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				want := k.draw(t)
				b, err := k.encode(want)
				if err != nil {
					t.Fatal(err)
				}
				got, err := k.decode(b)
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(want, got); d != "" {
					t.Fatal(d)
				}
			})
		})
	}
}

func TestGoldenRecords(t *testing.T) {
	t.Parallel()
	for _, k := range kinds() {
		b, err := k.encode(k.golden)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("testdata", k.name+".hex")
		if *update {
			if err := os.WriteFile(file, []byte(hex.EncodeToString(b)+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(b); got != strings.TrimSpace(string(text)) {
			t.Errorf("%s encodes as\n%s\nand not as in %s", k.name, got, file)
		}
		v, err := k.decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(k.golden, v); d != "" {
			t.Errorf("%s: %s", k.name, d)
		}
	}
}

// edit decodes a golden record into a map, changes it and encodes it again.
func edit(t *testing.T, k kind, change func(map[uint64]any)) []byte {
	t.Helper()
	b, err := k.encode(k.golden)
	if err != nil {
		t.Fatal(err)
	}
	m := map[uint64]any{}
	if err := cbor.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	change(m)
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		t.Fatal(err)
	}
	b, err = mode.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWhatNoWriterWritesIsRefused(t *testing.T) {
	t.Parallel()
	by := map[string]kind{}
	for _, k := range kinds() {
		by[k.name] = k
	}
	tests := []struct {
		name, kind string
		change     func(map[uint64]any)
	}{
		{"a session id that is too short", "session", func(m map[uint64]any) { m[3] = make([]byte, 15) }},
		{"a session id that is too long", "session", func(m map[uint64]any) { m[3] = make([]byte, 17) }},
		{"a pin that is too short", "session", func(m map[uint64]any) { m[6] = []any{make([]byte, 15)} }},
		{"an unknown use", "session", func(m map[uint64]any) { m[5] = 4 }},
		{"no use", "session", func(m map[uint64]any) { delete(m, 5) }},
		{"a path that is no text", "session", func(m map[uint64]any) { m[1] = 5 }},
		{"a float for a number", "session", func(m map[uint64]any) { m[10] = 1.5 }},
		{"a text that is not UTF-8", "session", func(m map[uint64]any) { m[8] = "\xff" }},
		{"a whole float for a number", "session", func(m map[uint64]any) { m[10] = 1.0 }},
		{"null for what may be absent", "session", func(m map[uint64]any) { m[6] = nil }},
		{"a zero that belongs left out", "session", func(m map[uint64]any) { m[4] = 0 }},
		{"an opening of era 0", "era", func(m map[uint64]any) { m[3] = uint64(0) }},
		{"an era beyond 32 bits", "session", func(m map[uint64]any) { m[4] = uint64(1) << 32 }},
		{"a writer that is too long", "heartbeat", func(m map[uint64]any) { m[2] = make([]byte, 9) }},
		{"a session that is no identifier", "heartbeat", func(m map[uint64]any) { m[3] = "0123456789abcdef" }},
		{"an unknown kind of fate", "fate", func(m map[uint64]any) { m[5] = 7 }},
		{"no kind of fate", "fate", func(m map[uint64]any) { delete(m, 5) }},
		{"a pack of an unknown class", "fate", func(m map[uint64]any) { m[6] = []any{[]any{'X', []byte{}, 0, 1, make([]byte, 32)}} }},
		{"a pack of a negative size", "fate", func(m map[uint64]any) { m[6] = []any{[]any{'D', []byte{}, 0, -1, make([]byte, 32)}} }},
		{"a pack of four parts", "fate", func(m map[uint64]any) { m[6] = []any{[]any{'D', []byte{}, 0, 1}} }},
		{"a pack of a session that is too short", "fate", func(m map[uint64]any) { m[7] = []any{[]any{'D', []byte{1}, 0, 1, make([]byte, 32)}} }},
		{"a pack's name that is too short", "fate", func(m map[uint64]any) { m[6] = []any{[]any{'D', []byte{}, 0, 1, make([]byte, 31)}} }},
		{"an index name that is too short", "fate", func(m map[uint64]any) { m[8] = []any{make([]byte, 31)} }},
		{"a head without a hash", "fate", func(m map[uint64]any) { m[10] = []any{[]any{make([]byte, 16)}} }},
		{"a domain that is too short", "snapshot", func(m map[uint64]any) { m[10] = make([]byte, 8) }},
		{"an upto of one part", "snapshot", func(m map[uint64]any) { m[16] = []any{[]byte("x")} }},
		{"more errors than a snapshot carries", "snapshot", func(m map[uint64]any) {
			all := make([]any, MaxErrors+1)
			for i := range all {
				all[i] = []any{[]byte("x"), 1, "y"}
			}
			m[12] = all
		}},
		{"a negative window", "tombstone", func(m map[uint64]any) { m[4] = -1 }},
		{"a successor that is too short", "tombstone", func(m map[uint64]any) { m[6] = []byte{1} }},
		{"a condemned pack of an unknown class", "condemned", func(m map[uint64]any) { m[4] = []any{[]any{'X', []byte{}, 0, 1, make([]byte, 32)}} }},
		{"a session waited for that is too short", "condemned", func(m map[uint64]any) { m[5] = []any{[]byte{1}} }},
	}
	for _, tt := range tests {
		if v, err := by[tt.kind].decode(edit(t, by[tt.kind], tt.change)); !errors.Is(err, errs.Corrupt) {
			t.Errorf("%s: decoded as %+v, error %v", tt.name, v, err)
		}
	}
}

func TestShapesThatAreNoRecordAreRefused(t *testing.T) {
	t.Parallel()
	deep := append(bytes.Repeat([]byte{0x81}, 20), 0)
	for what, b := range map[string][]byte{
		"nothing":                               {},
		"null":                                  {0xf6},
		"undefined":                             {0xf7},
		"an array":                              {0x80},
		"a number":                              {0x05},
		"a tag":                                 {0xc1, 0xa0},
		"an indefinite map":                     {0xbf, 0xff},
		"a number in a longer form than needed": {0xa1, 0x18, 0x01, 0x60},
		"a key twice":                           {0xa2, 0x01, 0x61, 'a', 0x01, 0x61, 'b'},
		"bytes after it":                        {0xa0, 0x00},
		"a map that ends early":                 {0xa5, 0x01},
		"an array too deep":                     append([]byte{0xa1, 0x18, 0x63}, deep...),
		"an array of 2^32 of air":               {0xa1, 0x06, 0x9b, 0, 0, 0, 1, 0, 0, 0, 0},
		"more than a record has":                append([]byte{0xa1, 0x18, 0x63, 0x5a, 0x01, 0x00, 0x00, 0x00}, make([]byte, 1<<24)...),
	} {
		for _, k := range kinds() {
			if v, err := k.decode(b); !errors.Is(err, errs.Corrupt) {
				t.Errorf("%s: decoded as %s %+v, error %v", what, k.name, v, err)
			}
		}
		// Signer only looks who is to be asked for a key; the decoder that follows is strict.
		if _, err := Signer(b); !errors.Is(err, errs.Corrupt) && what != "a number in a longer form than needed" {
			t.Errorf("%s: has a signer, error %v", what, err)
		}
	}
}

func TestAKeyOfALaterVersionIsIgnored(t *testing.T) {
	t.Parallel()
	for _, k := range kinds() {
		v, err := k.decode(edit(t, k, func(m map[uint64]any) { m[99] = []any{"new", 1} }))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(k.golden, v); d != "" {
			t.Errorf("%s: %s", k.name, d)
		}
	}
}

func TestEveryOuterRecordTellsItsSignerAndPlace(t *testing.T) {
	t.Parallel()
	b, err := (&Fate{Path: "fates/x", Writer: id.Writer{5}, Kind: Ended}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := Signer(b); err != nil || n != (Named{Path: "fates/x", Writer: id.Writer{5}}) {
		t.Errorf("signer %+v, error %v", n, err)
	}
}

func TestTextOfAnotherEncodingDoesNotMakeARecordThatCannotBeRead(t *testing.T) {
	t.Parallel()
	s := &Snapshot{Host: "h\xff", Tags: []string{"\xfe"}, Excludes: []string{"*\xff"}, Errors: make([]Error, MaxErrors+5), Root: []byte{1}}
	s.Errors[0].Text = "caf\xe9"
	b, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeSnapshot(b)
	if err != nil {
		t.Fatal(err)
	}
	if got.Host != "h\uFFFD" || got.Tags[0] != "\uFFFD" || got.Excludes[0] != "*\uFFFD" || got.Errors[0].Text != "caf\uFFFD" {
		t.Errorf("host %q, tags %q, excludes %q, error %q", got.Host, got.Tags, got.Excludes, got.Errors[0].Text)
	}
	if len(got.Errors) != MaxErrors {
		t.Errorf("%d errors", len(got.Errors))
	}
}

func TestARecordThatIsTooLargeIsNotEncoded(t *testing.T) {
	t.Parallel()
	if _, err := (&Snapshot{Root: make([]byte, MaxBytes)}).Encode(); err == nil {
		t.Error("a snapshot of more than 16 MiB was encoded")
	}
}

func TestKindsOfFate(t *testing.T) {
	t.Parallel()
	for k, want := range map[Kind]struct {
		text                string
		committed, snapshot bool
	}{
		0: {"", false, false}, Commit: {"commit", true, true}, Checkpoint: {"checkpoint", true, true},
		Rescue: {"rescue", true, false}, Compaction: {"compaction", true, false}, Ended: {"ended", false, false},
		Killed: {"killed", false, false}, 9: {"unknown", false, false},
	} {
		if k.String() != want.text || k.Committed() != want.committed || k.Snapshot() != want.snapshot {
			t.Errorf("kind %d is %q, committed %v, snapshot %v", k, k, k.Committed(), k.Snapshot())
		}
	}
}

func TestPathsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		era, s, k := rapid.Uint32().Draw(t, "era"), drawSid(t, "sid"), drawSid(t, "killer")
		n := rapid.Uint32().Draw(t, "n")
		for path, want := range map[string]Place{
			SessionPath(era, s):      {Kind: SessionObject, Era: era, Session: s},
			HeartbeatPath(era, s, n): {Kind: Heartbeat, Era: era, Session: s, Count: n},
			FatePath(era, s):         {Kind: FateObject, Era: era, Session: s},
			IntentPath(era, s, k):    {Kind: IntentObject, Era: era, Session: s, Killer: k},
			KilledPath(era, s):       {Kind: KilledObject, Era: era, Session: s},
		} {
			if got := ParsePlace(path); got != want {
				t.Fatalf("%s is %+v, want %+v", path, got, want)
			}
		}
		p := Pack{Class: rapid.SampledFrom([]byte("DM")).Draw(t, "class"), Session: s, N: n, Size: 5, Name: drawName(t)}
		if got, err := ParsePack(p.Path(), 5); err != nil || got != p {
			t.Fatalf("%s is %+v, error %v", p.Path(), got, err)
		}
	})
}

func TestStrangePathsAreNothing(t *testing.T) {
	t.Parallel()
	s := sid(1).String()
	for _, path := range []string{
		"", "x", "sessions/", "sessions/0/" + s, "sessions/00000000", "sessions/0000000g/" + s, "sessions/00000000/" + s + "x",
		"sessions/00000000/" + s + ".1", "sessions/00000000/" + s + ".killed", "sessions/0000000A/" + s, "sessions/+0000001/" + s,
		"fates/00000000/" + s + ".00000001", "fates/00000000/" + s + ".intent", "fates/00000000/" + s + ".intent.x",
		"fates/00000000/" + s + ".killed.x", "dup/fates/00000000/" + s,
	} {
		if p := ParsePlace(path); p != (Place{}) {
			t.Errorf("%q is %+v", path, p)
		}
	}
	n := strings.Repeat("0", 64)
	for _, path := range []string{
		"", "data/", "data/" + s, "data/" + s + "/00000000", "data/" + s + "/0-" + n, "data/" + s + "/00000000-0", "data/x/00000000-" + n,
		"index/" + n, "data/" + s + "/0000000G-" + n,
	} {
		if p, err := ParsePack(path, 1); !errors.Is(err, errs.Corrupt) {
			t.Errorf("%q is %+v, error %v", path, p, err)
		}
	}
	if _, err := ParsePack((Pack{Class: 'D'}).Path(), -1); err == nil {
		t.Error("a pack of a negative size")
	}
}

func TestPathsOfSingleObjects(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		TombstonePath(sid(1)):  "tombstones/" + sid(1).String(),
		CondemnedPath(sid(1)):  "condemned/" + sid(1).String(),
		WaitPath(sid(1)):       "condemned/" + sid(1).String() + ".wait",
		IndexPath(name(1)):     "index/" + name(1).String(),
		DupPath("nacre.json"):  "dup/nacre.json",
		SessionPath(1, sid(1)): "sessions/00000001/" + sid(1).String(),
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestPathsOfEras(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.Uint32Min(1).Draw(t, "era")
		if got, ok := ParseEra(EraPath(want)); !ok || got != want {
			t.Errorf("%s is %d, %v", EraPath(want), got, ok)
		}
	})
	for _, path := range []string{"era/", "era/1", "era/00000000", "era/0000000A", "era/+0000001", "era/00000001.x", "sessions/00000001", "00000001"} {
		if e, ok := ParseEra(path); ok {
			t.Errorf("%q is era %d", path, e)
		}
	}
}
