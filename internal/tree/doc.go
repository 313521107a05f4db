// Package tree is about the snapshot: one sorted map from path to entry, stored as a B+tree whose page boundaries
// are defined by content.
package tree
