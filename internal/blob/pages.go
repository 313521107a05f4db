package blob

import (
	"context"
	"path/filepath"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/event"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/tree"
)

// Pages reads tree and extent pages through a sealed local cache; it is a tree.PageReader. The cache is a hint: what does
// not open is read from the repository. It takes 80 bytes of memory a page, which stands for 64 entries.
type Pages struct {
	reader *Reader
	domain *crypt.Domain
	cache  *pageCache // nil where there is none
}

// NewPages returns a page reader whose cache is in the subfolder "pages" of the cache folder of the repository; without
// a folder nothing is cached.
func NewPages(r *Reader, cacheDir string) *Pages {
	p := &Pages{reader: r, domain: r.repo.Domain()}
	if cacheDir != "" {
		p.cache = &pageCache{
			dir:    filepath.Join(cacheDir, "pages"),
			local:  crypt.NewLocal(p.domain.CacheKey(), "pages"),
			report: func(err error) { r.repo.Events().Emit(event.Warning{Err: err}) },
		}
	}
	return p
}

// Page implements tree.PageReader.
func (p *Pages) Page(ctx context.Context, kind tree.Kind, i id.ID) ([]byte, error) {
	if p.cache != nil {
		if page := p.cache.get(crypt.Kind(kind), i); page != nil {
			return page, nil
		}
	}
	page, err := p.reader.view(ctx, crypt.Kind(kind), i)
	if err != nil {
		return nil, err
	}
	if p.cache != nil {
		p.cache.put(crypt.Kind(kind), i, page)
	}
	return page, nil
}

// Store returns a tree.PageStore that puts pages through the worker and into the cache.
func (p *Pages) Store(k *Worker) tree.PageStore { return pageStore{p, k} }

type pageStore struct {
	pages  *Pages
	worker *Worker
}

// Put implements tree.PageStore.
func (s pageStore) Put(ctx context.Context, kind tree.Kind, page []byte) (id.ID, error) {
	i := s.pages.domain.ID(crypt.Kind(kind), page)
	if _, err := s.worker.Put(ctx, crypt.Kind(kind), i, page); err != nil {
		return id.ID{}, err
	}
	if s.pages.cache != nil {
		s.pages.cache.put(crypt.Kind(kind), i, page)
	}
	return i, nil
}

// Close ends the cache: pages that were neither read nor written are dropped when they become the larger part. What went
// wrong with it is no failure of the run.
func (p *Pages) Close() error {
	if p.cache == nil {
		return nil
	}
	return p.cache.close()
}
