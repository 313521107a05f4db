package restore

// WithBounds makes windows small.
func WithBounds(o Options, items, pieces, open int) Options {
	o.bounds = bounds{items: items, pieces: pieces, open: open}
	return o
}
