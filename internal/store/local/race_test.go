//go:build race

package local

// slow says that the race detector watches, which makes everything some ten times slower: tests that try many cases of
// one kind then try a part of them.
const slow = true
