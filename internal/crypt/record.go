package crypt

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"

	"github.com/fxamacker/cbor/v2"

	"github.com/nacre-backup/nacre/internal/errs"
)

// Caps on the shape of the parts of a ring generation. Its size is capped before (maxRawControl), and the decoder checks that the
// announced elements are there before it takes memory for them.
const (
	maxRecordDepth    = 16
	maxRecordElements = 1 << 20
	maxRecordPairs    = 1 << 16
)

var (
	recordEnc     = mustEnc()
	recordStrict  = mustDec(cbor.ExtraDecErrorUnknownField)
	recordLenient = mustDec(cbor.ExtraDecErrorNone)
)

func mustEnc() cbor.EncMode {
	m, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic("cbor: " + err.Error())
	}
	return m
}

func mustDec(extra cbor.ExtraDecErrorCond) cbor.DecMode {
	m, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		UTF8:              cbor.UTF8RejectInvalid,
		MaxNestedLevels:   maxRecordDepth,
		MaxArrayElements:  maxRecordElements,
		MaxMapPairs:       maxRecordPairs,
		ExtraReturnErrors: extra,
	}.DecMode()
	if err != nil {
		panic("cbor: " + err.Error())
	}
	return m
}

// encodeRecord encodes a part of a ring generation as deterministic CBOR. v is a struct whose fields carry
// `cbor:"<n>,keyasint,omitzero"` (omitempty for slices), so that an absent key means zero.
func encodeRecord(v any) ([]byte, error) {
	b, err := recordEnc.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode a record: %w", err)
	}
	return b, nil
}

// decodeRecord decodes a part of a ring generation into v, a pointer to a zero struct. Doubled keys, indefinite lengths, tags,
// trailing bytes and excess are errs.Corrupt. Unknown keys are ignored. A record without unknown keys must be exactly
// what encodeRecord makes of v, so that one record has one encoding and a field of the wrong length is refused.
func decodeRecord(b []byte, v any) error {
	if len(b) == 0 || b[0]>>5 != 5 { // null and undefined would decode into anything
		return errs.New(errs.Corrupt, "decode a record: not a map")
	}
	err := recordStrict.Unmarshal(b, v)
	var unknown *cbor.UnknownFieldError
	if errors.As(err, &unknown) {
		reflect.ValueOf(v).Elem().SetZero() // the first attempt left some of it
		if err := recordLenient.Unmarshal(b, v); err != nil {
			return errs.As(errs.Corrupt, fmt.Errorf("decode a record: %w", err))
		}
		return nil
	}
	if err != nil {
		return errs.As(errs.Corrupt, fmt.Errorf("decode a record: %w", err))
	}
	again, err := encodeRecord(v)
	if err != nil {
		return err
	}
	if !bytes.Equal(again, b) {
		return errs.New(errs.Corrupt, "decode a record: not the deterministic encoding")
	}
	return nil
}
