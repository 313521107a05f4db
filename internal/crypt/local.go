package crypt

import (
	"crypto/subtle"
	"encoding/binary"

	"github.com/nacre-backup/nacre/internal/errs"
)

// LocalOverhead is how many bytes longer a locally sealed record is than its content.
const LocalOverhead = sivSize + tagSize

// Local seals local caches and journals. Sealing is deterministic: equal content under an equal name gives equal
// bytes, so no random bytes are needed and none can repeat. It is safe for concurrent use.
//
// The key and nonce of a record come from a keyed hash of its name and content (the siv), which stands in front of it
// and is recomputed on opening. Local files are hints and no part of the repository format.
type Local struct {
	siv *keyed
	key Key
}

// NewLocal makes the sealer for one use of the domain's cache key, for instance "pages" or "journal".
func NewLocal(cacheKey Key, use string) *Local {
	return &Local{
		siv: newKeyed(Key(expand(cacheKey[:], "nacre/1 local siv\x00"+use, 32))),
		key: Key(expand(cacheKey[:], "nacre/1 local key\x00"+use, 32)),
	}
}

// Seal appends the sealed content to dst. name is bound into the seal: a record opens only under its own name.
func (l *Local) Seal(dst []byte, name string, content []byte) []byte {
	siv := l.sivOf(name, content)
	kn := expand(l.key[:], string(siv[:]), 44)
	dst = append(dst, siv[:]...)
	return newAEAD(SuiteAES, kn[:32]).Seal(dst, kn[32:], content, nil)
}

// Open appends the content to dst. Whatever does not open is errs.Corrupt; a cache then counts as empty.
func (l *Local) Open(dst []byte, name string, sealed []byte) ([]byte, error) {
	if len(sealed) < LocalOverhead {
		return nil, errs.New(errs.Corrupt, "local record %q: %d bytes are too few", name, len(sealed))
	}
	kn := expand(l.key[:], string(sealed[:sivSize]), 44)
	out, err := newAEAD(SuiteAES, kn[:32]).Open(dst, kn[32:], sealed[sivSize:], nil)
	if err != nil {
		return nil, errs.New(errs.Corrupt, "local record %q: the seal does not open", name)
	}
	want := l.sivOf(name, out[len(dst):])
	if subtle.ConstantTimeCompare(want[:], sealed[:sivSize]) != 1 {
		return nil, errs.New(errs.Corrupt, "local record %q: it belongs to another name", name)
	}
	return out, nil
}

func (l *Local) sivOf(name string, content []byte) [sivSize]byte {
	head := binary.AppendUvarint(make([]byte, 0, 128), uint64(len(name)))
	head = append(head, name...)
	sum := l.siv.sum(head, content)
	return [sivSize]byte(sum[:sivSize])
}
