package crypt

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nacre-backup/nacre/internal/errs"
)

// nacre.json and the key slots are read before there is any key. Their last member is a checksum over all bytes before
// it, so that damage is told from a wrong password and from a later version. It protects against accidents only: the
// slot's seal covers the slot, and the keyring has the hashes of both.

// maxJSONFile is how large such a file may be.
const maxJSONFile = 64 << 10

const (
	checkKey     = ",\n  \"check\": \""
	fileEnd      = "\"\n}\n"
	fileTimeForm = time.RFC3339
)

// openObject encodes v as an indented object and takes the closing brace off, so that members can follow.
func openObject(v any) ([]byte, error) {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return bytes.TrimSuffix(b, []byte("\n}")), nil
}

// closeObject adds the checksum and the closing brace.
func closeObject(head []byte) []byte {
	sum := Sum(head)
	out := append([]byte(nil), head...)
	out = append(out, checkKey...)
	out = hex.AppendEncode(out, sum[:])
	return append(out, fileEnd...)
}

// checkObject verifies the checksum and decodes the file into v. It returns the bytes that the checksum covers.
func checkObject(file []byte, v any) ([]byte, error) {
	if len(file) > maxJSONFile {
		return nil, errs.New(errs.Corrupt, "%d bytes, the limit is %d", len(file), maxJSONFile)
	}
	at := bytes.LastIndex(file, []byte(checkKey))
	if at < 0 {
		return nil, errs.New(errs.Corrupt, "it has no checksum at its end: damaged, cut short or edited")
	}
	head := file[:at]
	if !bytes.Equal(closeObject(head), file) {
		return nil, errs.New(errs.Corrupt, "its checksum does not match: damaged or edited")
	}
	if err := json.Unmarshal(file, v); err != nil {
		return nil, errs.As(errs.Corrupt, fmt.Errorf("it is no JSON object of the expected shape: %w", err))
	}
	return head, nil
}
