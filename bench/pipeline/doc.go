// Package pipeline holds the benchmarks of whole backups: a source that is nowhere, everything nacre does, and a store
// in memory or on disk. The primitives have theirs beside their code.
//
//	go test -run '^$' -bench . ./bench/pipeline
package pipeline
