package blob

import (
	"context"

	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/tree"
)

// Pages reads tree and extent pages through a sealed local cache; it is a tree.PageReader. The cache is a hint: what does
// not open or does not match its id is read from the repository. It takes 60 bytes of memory a page.
type Pages struct{}

// NewPages returns a page reader whose cache is in the subfolder "pages" of the cache folder of the repository; without
// a folder nothing is cached.
func NewPages(r *Reader, cacheDir string) *Pages { panic("blob: skeleton") }

// Page implements tree.PageReader.
func (p *Pages) Page(ctx context.Context, kind tree.Kind, i id.ID) ([]byte, error) {
	panic("blob: skeleton")
}

// Store returns a tree.PageStore that puts pages through the worker and into the cache.
func (p *Pages) Store(k *Worker) tree.PageStore { panic("blob: skeleton") }

// Close ends the cache: pages that were neither read nor written are dropped when they become the larger part.
func (p *Pages) Close() error { panic("blob: skeleton") }
