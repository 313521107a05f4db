package record

import (
	"fmt"
	"strings"

	"github.com/nacre-backup/nacre/internal/id"
)

// Era is the opening of an era: from now on sessions are opened in it or in a higher one.
type Era struct {
	Path   string
	Writer id.Writer // who signs it
	Number uint32
	Time   int64 // when it was opened, by its writer's clock
}

type wireEra struct {
	Path   string `cbor:"1,keyasint"`
	Writer bytes8 `cbor:"2,keyasint"`
	Number uint32 `cbor:"3,keyasint"`
	Time   int64  `cbor:"4,keyasint,omitempty"`
}

// Encode gives the era's bytes.
func (e *Era) Encode() ([]byte, error) {
	return marshal("era", &wireEra{Path: e.Path, Writer: bytes8(e.Writer), Number: e.Number, Time: e.Time})
}

// DecodeEra reads an era.
func DecodeEra(b []byte) (*Era, error) {
	var w wireEra
	if err := unmarshal("era", b, &w); err != nil {
		return nil, err
	}
	if w.Number == 0 {
		return nil, bad("era", "number 0, which nobody opens")
	}
	return &Era{Path: w.Path, Writer: id.Writer(w.Writer), Number: w.Number, Time: w.Time}, nil
}

// EraPath is where the opening of an era stands.
func EraPath(era uint32) string { return fmt.Sprintf("%s%08x", Eras, era) }

// ParseEra takes the path of an era's opening apart. Era 0 is open from the beginning and has none.
func ParseEra(path string) (uint32, bool) {
	digits, ok := strings.CutPrefix(path, Eras)
	if !ok {
		return 0, false
	}
	e, ok := parseHex8(digits)
	return e, ok && e > 0
}
