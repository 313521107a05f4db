package blob

import (
	"container/list"
	"context"
	"sync"
)

// lru keeps values up to a number of bytes, the least recently used go first. A value is loaded once however many ask
// for it at the same time. Values that are being loaded come on top of the limit.
type lru[K comparable, V any] struct {
	limit int64
	size  func(V) int64

	mu    sync.Mutex
	used  int64
	items map[K]*item[K, V]
	order *list.List // of *item that are loaded, the most recently used in front
}

type item[K comparable, V any] struct {
	key   K
	turn  chan struct{} // holds one token; whoever takes it loads
	value V
	place *list.Element // nil until it is loaded
}

func newLRU[K comparable, V any](limit int64, size func(V) int64) *lru[K, V] {
	return &lru[K, V]{limit: limit, size: size, items: map[K]*item[K, V]{}, order: list.New()}
}

// get returns the value of k, loading it if needed. A failed load is returned to its caller and not kept.
func (c *lru[K, V]) get(ctx context.Context, k K, load func() (V, error)) (V, error) {
	var none V
	it, v, ok := c.find(k)
	if ok {
		return v, nil
	}
	select {
	case it.turn <- struct{}{}:
	case <-ctx.Done():
		return none, ctx.Err()
	}
	defer func() { <-it.turn }()
	if v, ok := c.loaded(it); ok {
		return v, nil
	}
	v, err := load()
	if err != nil {
		return none, err
	}
	c.keep(it, v)
	return v, nil
}

// find returns the item of k, and its value if it is loaded.
func (c *lru[K, V]) find(k K) (*item[K, V], V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	it, ok := c.items[k]
	if !ok {
		it = &item[K, V]{key: k, turn: make(chan struct{}, 1)}
		c.items[k] = it
	}
	if it.place != nil {
		c.order.MoveToFront(it.place)
		return it, it.value, true
	}
	return it, it.value, false
}

func (c *lru[K, V]) loaded(it *item[K, V]) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return it.value, it.place != nil
}

// keep takes the value in and drops what is too much.
func (c *lru[K, V]) keep(it *item[K, V], v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	it.value = v
	it.place = c.order.PushFront(it)
	c.items[it.key] = it
	c.used += c.size(v)
	for c.used > c.limit && c.order.Len() > 1 {
		old := c.order.Remove(c.order.Back()).(*item[K, V])
		c.used -= c.size(old.value)
		delete(c.items, old.key)
	}
}
