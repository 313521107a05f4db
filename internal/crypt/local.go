package crypt

// Local seals local caches and journals. Sealing is deterministic: equal content under an equal name gives equal
// bytes, so no random bytes are needed and none can repeat. It is safe for concurrent use.
type Local struct{}

// NewLocal makes the sealer for one use of the domain's cache key, for instance "pages" or "journal".
func NewLocal(cacheKey Key, use string) *Local { panic("crypt: skeleton") }

// Seal appends the sealed content to dst. name is bound into the seal: a record opens only under its own name.
func (l *Local) Seal(dst []byte, name string, content []byte) []byte { panic("crypt: skeleton") }

// Open appends the content to dst. Whatever does not open is errs.Corrupt; a cache then counts as empty.
func (l *Local) Open(dst []byte, name string, sealed []byte) ([]byte, error) { panic("crypt: skeleton") }
