package record

import (
	"bytes"
	"testing"
)

// fuzz feeds a decoder: what it accepts must encode, and come back the same from that.
func fuzz(f *testing.F, kindName string) {
	for _, k := range kinds() {
		b, err := k.encode(k.golden)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	var k kind
	for _, x := range kinds() {
		if x.name == kindName {
			k = x
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := k.decode(b)
		if err != nil {
			return
		}
		once, err := k.encode(v)
		if err != nil {
			t.Fatalf("what was decoded does not encode: %v", err)
		}
		v, err = k.decode(once)
		if err != nil {
			t.Fatalf("what was encoded does not decode: %v", err)
		}
		if twice, err := k.encode(v); err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("encoded twice it differs: %x and %x, error %v", once, twice, err)
		}
	})
}

func FuzzDecodeSession(f *testing.F)   { fuzz(f, "session") }
func FuzzDecodeBeat(f *testing.F)      { fuzz(f, "heartbeat") }
func FuzzDecodeFate(f *testing.F)      { fuzz(f, "fate") }
func FuzzDecodeSnapshot(f *testing.F)  { fuzz(f, "snapshot") }
func FuzzDecodeTombstone(f *testing.F) { fuzz(f, "tombstone") }
func FuzzDecodeEra(f *testing.F)       { fuzz(f, "era") }
func FuzzDecodeCondemned(f *testing.F) { fuzz(f, "condemned") }

func FuzzSigner(f *testing.F) {
	for _, k := range kinds() {
		b, err := k.encode(k.golden)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = Signer(b) }) // it must not panic
}

func FuzzParsePlace(f *testing.F) {
	f.Add(SessionPath(1, sid(1)))
	f.Add(IntentPath(1, sid(1), sid(2)))
	f.Add(Pack{Class: 'M', N: 3}.Path())
	f.Fuzz(func(t *testing.T, path string) {
		p := ParsePlace(path)
		again := map[PathKind]string{
			SessionObject: SessionPath(p.Era, p.Session), Heartbeat: HeartbeatPath(p.Era, p.Session, p.Count),
			FateObject: FatePath(p.Era, p.Session), IntentObject: IntentPath(p.Era, p.Session, p.Killer),
			KilledObject: KilledPath(p.Era, p.Session),
		}
		if want, known := again[p.Kind]; known && want != path {
			t.Errorf("%q is taken for %q", path, want)
		}
		if q, err := ParsePack(path, 1); err == nil && q.Path() != path {
			t.Errorf("%q is taken for %q", path, q.Path())
		}
	})
}
