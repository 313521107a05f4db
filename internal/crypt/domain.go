package crypt

import "github.com/nacre-backup/nacre/internal/id"

// Kind says what a blob holds. Each kind has an id key of its own, so that an id also commits to the kind.
type Kind uint8

// The kinds of blobs.
const (
	KindData   Kind = 1 // file content, and attribute values and link targets that stand out of line
	KindTree   Kind = 2 // tree page
	KindExtent Kind = 3 // extent-list page
)

// Class is the class of the packs that hold blobs of the kind.
func (k Kind) Class() Class {
	if k == KindData {
		return ClassData
	}
	return ClassMeta
}

// Valid reports whether k is a kind of version 1.
func (k Kind) Valid() bool { return k >= KindData && k <= KindExtent }

// Domain holds the keys of a deduplication domain that name and cut content. It holds no key that opens anything but
// the local cache. It is safe for concurrent use.
type Domain struct{}

// NewDomain derives the keys of a domain from its root.
func NewDomain(scope id.Domain, root Key) *Domain { panic("crypt: skeleton") }

// Scope is the id of the domain.
func (d *Domain) Scope() id.Domain { panic("crypt: skeleton") }

// ID names a blob: keyed BLAKE3-256 of its content under the key of its kind. It does not allocate.
func (d *Domain) ID(k Kind, content []byte) id.ID { panic("crypt: skeleton") }

// Link is the hard-link group of an inode of a file system; fs is the file system's identity.
func (d *Domain) Link(fs string, inode uint64) id.Link { panic("crypt: skeleton") }

// ChunkKey keys the chunker.
func (d *Domain) ChunkKey() Key { panic("crypt: skeleton") }

// SplitKey keys the boundaries of tree pages.
func (d *Domain) SplitKey() Key { panic("crypt: skeleton") }

// CacheKey seals local caches and journals (NewLocal).
func (d *Domain) CacheKey() Key { panic("crypt: skeleton") }
