package repo

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/record"
)

// ErrStranger says that a control object names a writer, or a key epoch, that the keyring does not know.
var ErrStranger = errors.New("its writer or epoch is not in the keyring")

// Control is a control object that was opened and whose signature holds.
type Control struct {
	Class  crypt.Class
	Path   string
	Writer id.Writer
	// Ring is the writer's row of the keyring: its rights, and whether it was revoked.
	Ring   crypt.RingWriter
	Outer  []byte
	Inner  []byte  // nil if there is none
	Hash   id.Name // B3 of the object's bytes
	Healed bool    // the original did not open, the second copy did
}

// SealControl seals and signs a control object by this machine's writer, whose id the outer record must name, and
// opens it again to compare.
func (r *Repo) SealControl(ctx context.Context, class crypt.Class, path string, outer, inner []byte) ([]byte, error) {
	s, err := r.Writer(ctx)
	if err != nil {
		return nil, err
	}
	named, err := record.Signer(outer)
	if err != nil {
		return nil, err
	}
	if named.Writer != s.Writer() || named.Path != path {
		return nil, fmt.Errorf("seal %s: the record names writer %s and path %s", path, named.Writer, named.Path)
	}
	return crypt.SealControl(r.rand, r.controlKeys(), crypt.Control{Class: class, Path: path, Outer: outer, Inner: inner}, s)
}

// OpenControl opens the bytes that were found at path and verifies the signature of the writer that the outer record
// names (key 2 of every record). Bytes that do not verify are errs.Corrupt; a writer that the keyring does not know
// is ErrStranger, which Reload may cure.
func (r *Repo) OpenControl(class crypt.Class, path string, object []byte) (*Control, error) {
	c := &Control{Class: class, Path: path, Hash: id.Name(crypt.Sum(object))}
	o, err := crypt.OpenControl(r.controlKeys(), class, path, object, func(outer []byte) (ed25519.PublicKey, error) {
		named, err := record.Signer(outer)
		if err != nil {
			return nil, err
		}
		if named.Path != path {
			return nil, errs.New(errs.Corrupt, "open %s: the record was written for %s", path, named.Path)
		}
		w, ok := r.writerRow(named.Writer)
		if !ok {
			return nil, fmt.Errorf("open %s: %w: %s", path, ErrStranger, named.Writer)
		}
		c.Writer, c.Ring = named.Writer, *w
		return w.Public, nil
	})
	if errors.Is(err, errs.NotFound) {
		// An epoch that the keyring does not have. The kind must not pass for "the object is not there".
		return nil, fmt.Errorf("%v: %w", err, ErrStranger) //nolint:errorlint // see above
	}
	if err != nil {
		return nil, err
	}
	c.Outer, c.Inner = o.Outer, o.Inner
	return c, nil
}

// ReadControl gets and opens a control object; one that is damaged or gone is read from dup/ instead, where it has a
// second copy. It is errs.NotFound where there is neither. Where neither copy opens the error is the original's.
func (r *Repo) ReadControl(ctx context.Context, class crypt.Class, path string) (*Control, error) {
	c, err := r.readControl(ctx, class, path, path)
	if err == nil || !curable(err) {
		return c, err
	}
	c, err2 := r.readControl(ctx, class, record.DupPath(path), path)
	switch {
	case err2 == nil:
		c.Healed = true
		return c, nil
	case curable(err2):
		return nil, err
	}
	return nil, err2 // the copy's state is not known
}

// curable says that the object is certainly gone or damaged, so that its second copy speaks for it.
func curable(err error) bool {
	return errors.Is(err, errs.NotFound) || errors.Is(err, errs.Corrupt)
}

func (r *Repo) readControl(ctx context.Context, class crypt.Class, from, path string) (*Control, error) {
	b, err := r.get(ctx, from, maxControl)
	if err != nil {
		return nil, err
	}
	return r.OpenControl(class, path, b)
}

// PutCopy puts the second copy of an object under dup/.
func (r *Repo) PutCopy(ctx context.Context, path string, object []byte) error {
	return r.put(ctx, record.DupPath(path), object)
}

// writerRow finds a writer in the keyring.
func (r *Repo) writerRow(w id.Writer) (*crypt.RingWriter, bool) {
	ring := r.Ring()
	for i := range ring.Writers {
		if crypt.WriterID(ring.Writers[i].Public) == w {
			return &ring.Writers[i], true
		}
	}
	return nil, false
}

// Rights are those of a writer, none if the keyring does not know it or it was revoked.
func (r *Repo) Rights(w id.Writer) crypt.Rights {
	row, ok := r.writerRow(w)
	if !ok || row.Revoked {
		return 0
	}
	return row.Rights
}
