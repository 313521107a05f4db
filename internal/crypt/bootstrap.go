package crypt

import (
	"time"

	"github.com/nacre-backup/nacre/internal/id"
)

// Bootstrap is nacre.json: where a stranger begins. It holds no secret.
type Bootstrap struct {
	Version    int
	Repository id.Repository
	Created    time.Time
	ReadOnly   bool // the file asks for a feature that writers must know and this program does not
}

// NewBootstrap makes the file of a new repository.
func NewBootstrap(repo id.Repository, created time.Time) []byte { panic("crypt: skeleton") }

// ParseBootstrap reads nacre.json. Damage is errs.Corrupt; a later version or an unknown feature that readers must
// know is errs.Unsupported with a hint.
func ParseBootstrap(file []byte) (*Bootstrap, error) { panic("crypt: skeleton") }
