// Package event is about the facts that verbs report while they run. Only the faces draw them: as a line, a bar, JSON
// or server-sent events.
package event

import "sync/atomic"

// Verdict says what became of one entry.
type Verdict uint8

// The verdicts of backup and restore.
const (
	New       Verdict = 1 + iota // not in the parent snapshot
	Changed                      // in the parent snapshot with other content or metadata
	Moved                        // its content was found under another directory of the parent
	Unchanged                    // as in the parent
	Failed                       // could not be read or written
	Restored                     // written by restore
	Skipped                      // left alone by restore: the overwrite rule says so
	Removed                      // in the parent, no longer in the source
)

var verdicts = [...]string{"", "new", "changed", "moved", "unchanged", "error", "restored", "skipped", "removed"}

func (v Verdict) String() string { return verdicts[v] }

// Event is one of the types below.
type Event interface{ event() }

// Entry reports one path and its verdict. Err is set when the verdict is Failed.
type Entry struct {
	Path    []byte
	Verdict Verdict
	Bytes   int64
	Err     error
}

// Phase reports that a run enters a new part of its work: "scan", "store", "commit", "read packs" and the like.
type Phase struct{ Name string }

// Warning reports something that the user must know and that does not end the run.
type Warning struct{ Err error }

// Note reports something that the user may want to know, as one sentence.
type Note struct{ Text string }

func (Entry) event()   {}
func (Phase) event()   {}
func (Warning) event() {}
func (Note) event()    {}

// Func receives events. It is called from several goroutines at once and must not block.
type Func func(Event)

// Emit calls f unless it is nil.
func (f Func) Emit(e Event) {
	if f != nil {
		f(e)
	}
}

// Counters is the running state of a verb, which a face reads whenever it likes.
type Counters struct {
	Entries      atomic.Int64 // entries done
	TotalEntries atomic.Int64 // entries known so far; final when TotalKnown
	Bytes        atomic.Int64 // bytes of content done (read or written)
	TotalBytes   atomic.Int64 // bytes known so far; final when TotalKnown
	TotalKnown   atomic.Bool  // the totals will not grow any more
	Stored       atomic.Int64 // bytes handed to the store
	Errors       atomic.Int64 // entries that failed
	Current      atomic.Pointer[string]
}
