package restore

// WithBounds makes windows small.
func WithBounds(o Options, items, pieces, open int) Options {
	o.bounds = bounds{items: items, pieces: pieces, open: open, loaded: 1500}
	return o
}
