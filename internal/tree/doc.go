// Package tree is about the snapshot: one sorted map from path to entry, stored as a B+tree whose page boundaries are
// defined by content. docs/format/tree.md is its format; the package does no I/O of its own but through PageStore and
// PageReader.
//
// The order of the map (Key) puts the entries of a directory together, then the groups of its subdirectories, depth
// first, so that a subtree is one range. A leaf holds about 20 entries in columns; a page above holds references to
// pages: common directory, first key, id and totals. Where a page ends depends on a keyed hash of its last key, on
// the number of entries and on a size that is a formula over the entries, never on how the tree came about. From that
// follow the promises:
//
//   - The tree of a map is the same, byte for byte, however it was reached. Two trees that share entries share pages,
//     and Diff skips equal pages by their ids.
//   - A backup is a merge join (Joiner) of a scan with an earlier tree. Builder.AddOld takes over whole leaves by id if
//     all their entries are unchanged: nothing is encoded or hashed for them.
//   - Every page holds directories relative to what its entries have in common, so moving a tree changes few pages.
//   - Totals in references make the size of a directory an O(log n) question.
//   - A page that is damaged loses a known range of keys (LostError) and nothing else.
//
// Decoders are strict: every length is checked against a limit before memory is taken, varints are in their shortest
// form, names are sorted, unique and harmless, columns are used up exactly, and a page must agree with the reference
// to it. Memory is bounded by the page limits (512 items, 4 MiB) and the path limit (1 MiB) for each open level.
package tree
