package crypt

// EncodeRecord encodes a control record as deterministic CBOR. v is a struct whose fields carry `cbor:"<n>,keyasint,omitempty"`.
func EncodeRecord(v any) ([]byte, error) { panic("crypt: skeleton") }

// DecodeRecord decodes a control record with caps on depth and counts; unknown keys are ignored, doubled keys,
// indefinite lengths, tags, floats and trailing bytes refused with errs.Corrupt.
func DecodeRecord(b []byte, v any) error { panic("crypt: skeleton") }
