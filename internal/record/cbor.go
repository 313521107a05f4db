package record

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/fxamacker/cbor/v2"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
)

// Limits of a record. MaxBytes is also the most that a control object's segment holds decoded, so that memory for a
// record is at most about ten times that.
const (
	MaxBytes    = 16 << 20
	MaxElements = 1 << 20 // in one array
	MaxPairs    = 1 << 12 // in one map
	MaxDepth    = 8       // of arrays and maps in one another
)

var (
	encMode = must(cbor.EncOptions{
		Sort:          cbor.SortBytewiseLexical,
		ShortestFloat: cbor.ShortestFloat16,
		IndefLength:   cbor.IndefLengthForbidden,
		TagsMd:        cbor.TagsForbidden,
	}.EncMode())
	strict  = decMode(cbor.ExtraDecErrorUnknownField)
	lenient = decMode(cbor.ExtraDecErrorNone)
)

func decMode(extra cbor.ExtraDecErrorCond) cbor.DecMode {
	return must(cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		UTF8:              cbor.UTF8RejectInvalid,
		MaxArrayElements:  MaxElements,
		MaxMapPairs:       MaxPairs,
		MaxNestedLevels:   MaxDepth,
		ExtraReturnErrors: extra,
	}.DecMode())
}

// must returns v, or panics: the options above are constants, so that an error is a mistake in this file.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// marshal encodes a wire form.
func marshal(what string, v any) ([]byte, error) {
	b, err := encMode.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", what, err)
	}
	if len(b) > MaxBytes {
		return nil, fmt.Errorf("encode %s: %d bytes, at most %d are allowed", what, len(b), MaxBytes)
	}
	return b, nil
}

// unmarshal decodes a wire form into v, a pointer to a zero struct. A record without keys of a later version must be
// exactly what marshal makes of it, so that one record has one encoding.
func unmarshal(what string, b []byte, v any) error {
	if err := wellFormed(what, b); err != nil {
		return err
	}
	err := strict.Unmarshal(b, v)
	var later *cbor.UnknownFieldError
	if errors.As(err, &later) {
		reflect.ValueOf(v).Elem().SetZero() // the first attempt left some of it
		return peek(what, b, v)
	}
	if err != nil {
		return errs.As(errs.Corrupt, fmt.Errorf("decode %s: %w", what, err))
	}
	again, err := encMode.Marshal(v)
	if err != nil || !bytes.Equal(again, b) {
		return bad(what, "not the deterministic encoding")
	}
	return nil
}

// peek decodes the keys that v has and ignores all others.
func peek(what string, b []byte, v any) error {
	if err := wellFormed(what, b); err != nil {
		return err
	}
	if err := lenient.Unmarshal(b, v); err != nil {
		return errs.As(errs.Corrupt, fmt.Errorf("decode %s: %w", what, err))
	}
	return nil
}

func wellFormed(what string, b []byte) error {
	if len(b) > MaxBytes {
		return bad(what, "%d bytes, at most %d are allowed", len(b), MaxBytes)
	}
	if len(b) == 0 || b[0]>>5 != 5 { // null and undefined would decode into anything
		return bad(what, "not a map")
	}
	return nil
}

// bad makes the error of a record that decodes but says what no writer says.
func bad(what, format string, args ...any) error {
	return errs.New(errs.Corrupt, "decode %s: %s", what, fmt.Sprintf(format, args...))
}

// The wire forms of identifiers. They exist because the CBOR library fills an array from a byte string of any length;
// UnmarshalBinary refuses every length but the right one.
type (
	bytes8  [8]byte
	bytes16 [16]byte
	bytes32 [32]byte
)

func (x *bytes8) UnmarshalBinary(b []byte) error  { return fill(x[:], b) }
func (x *bytes16) UnmarshalBinary(b []byte) error { return fill(x[:], b) }
func (x *bytes32) UnmarshalBinary(b []byte) error { return fill(x[:], b) }

func fill(dst, src []byte) error {
	if len(dst) != len(src) {
		return fmt.Errorf("identifier of %d bytes, want %d", len(src), len(dst))
	}
	copy(dst, src)
	return nil
}

// text is s as the format can hold it. A name of another encoding must not make a snapshot that cannot be read.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func texts(in []string) []string { return convert(in, text) }

// convert makes a slice of B from a slice of A; nil stays nil.
func convert[B, A any](in []A, f func(A) B) []B {
	if len(in) == 0 {
		return nil
	}
	out := make([]B, len(in))
	for i, v := range in {
		out[i] = f(v)
	}
	return out
}

// Named is what every record says of itself.
type Named struct {
	Path   string
	Writer id.Writer
}

// Signer reads who signs a record, and where it stands, without knowing what kind of record it is.
func Signer(b []byte) (Named, error) {
	var w struct {
		Path   string `cbor:"1,keyasint"`
		Writer bytes8 `cbor:"2,keyasint"`
	}
	if err := peek("record", b, &w); err != nil {
		return Named{}, err
	}
	return Named{Path: w.Path, Writer: id.Writer(w.Writer)}, nil
}
