package index

import (
	"sync"

	"github.com/nacre-backup/nacre/internal/id"
)

const shardCount = 256

// shard is a part of the session's own blobs, by the first byte of the id.
type shard struct {
	mu sync.Mutex
	m  map[id.Short]place
}

// view is a run as one state of the repository shows it.
type view struct {
	*run
	packs []packState // by pack number
}

// packState says what a pack is good for.
type packState uint8
