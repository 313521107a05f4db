package crypt

import (
	"encoding/binary"

	"github.com/nacre-backup/nacre/internal/id"
)

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
type Domain struct {
	scope               id.Domain
	ids                 [KindExtent + 1]*keyed // by kind
	link                *keyed
	chunk, split, cache Key
}

// NewDomain derives the keys of a domain from its root.
func NewDomain(scope id.Domain, root Key) *Domain {
	sub := func(purpose string) Key { return Sub(root, purpose, scope, 0) }
	return &Domain{
		scope: scope,
		ids: [KindExtent + 1]*keyed{
			KindData:   newKeyed(sub("id-data")),
			KindTree:   newKeyed(sub("id-tree")),
			KindExtent: newKeyed(sub("id-extent")),
		},
		link:  newKeyed(sub("link")),
		chunk: sub("chunk"),
		split: sub("tree-split"),
		cache: sub("cache"),
	}
}

// Scope is the id of the domain.
func (d *Domain) Scope() id.Domain { return d.scope }

// ID names a blob: keyed BLAKE3-256 of its content under the key of its kind. It does not allocate. k must be a valid
// kind.
func (d *Domain) ID(k Kind, content []byte) id.ID { return d.ids[k].sum(nil, content) }

// Link is the hard-link group of an inode of a file system; fs is the file system's identity.
func (d *Domain) Link(fs string, inode uint64) id.Link {
	in := make([]byte, 0, 128)
	in = append(in, fs...)
	in = append(in, 0)
	in = binary.LittleEndian.AppendUint64(in, inode)
	sum := d.link.sum(nil, in)
	return id.Link(sum[:16])
}

// ChunkKey keys the chunker.
func (d *Domain) ChunkKey() Key { return d.chunk }

// SplitKey keys the boundaries of tree pages.
func (d *Domain) SplitKey() Key { return d.split }

// CacheKey seals local caches and journals (NewLocal).
func (d *Domain) CacheKey() Key { return d.cache }
