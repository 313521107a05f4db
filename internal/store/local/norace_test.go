//go:build !race

package local

// slow says that the race detector watches.
const slow = false
