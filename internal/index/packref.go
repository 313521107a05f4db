package index

import (
	"encoding/binary"
	"encoding/hex"
	"strings"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
)

// PackRef names a pack. It is comparable and costs no allocation; Path is its name in the store.
type PackRef struct {
	Class   crypt.Class // ClassData or ClassMeta
	Session id.Session  // whose pack it is
	N       uint32      // its number among the packs of that class of the session
	Name    id.Name     // hash of its bytes
}

// Path returns the pack's name in the store.
func (p PackRef) Path() string {
	b := make([]byte, 0, 4+1+32+1+8+1+64)
	if p.Class == crypt.ClassMeta {
		b = append(b, "meta/"...)
	} else {
		b = append(b, "data/"...)
	}
	b = hex.AppendEncode(b, p.Session[:])
	b = append(b, '/')
	b = hex.AppendEncode(b, binary.BigEndian.AppendUint32(nil, p.N))
	b = append(b, '-')
	b = hex.AppendEncode(b, p.Name[:])
	return string(b)
}

func (p PackRef) String() string { return p.Path() }

// ParsePackPath reads the store name of a pack.
func ParsePackPath(path string) (p PackRef, err error) {
	bad := func() (PackRef, error) {
		return PackRef{}, errs.New(errs.Corrupt, "%q is not the path of a pack", path)
	}
	dir, rest, _ := strings.Cut(path, "/")
	switch dir {
	case "data":
		p.Class = crypt.ClassData
	case "meta":
		p.Class = crypt.ClassMeta
	default:
		return bad()
	}
	sid, rest, _ := strings.Cut(rest, "/")
	n, name, _ := strings.Cut(rest, "-")
	if p.Session, err = id.ParseSession(sid); err != nil {
		return bad()
	}
	if p.Name, err = id.ParseName(name); err != nil {
		return bad()
	}
	var num [4]byte
	if len(n) != 8 || strings.ToLower(n) != n {
		return bad()
	}
	if _, err = hex.Decode(num[:], []byte(n)); err != nil {
		return bad()
	}
	p.N = binary.BigEndian.Uint32(num[:])
	return p, nil
}
