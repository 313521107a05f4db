// Package process is about telling processes apart: who this one is, and whether another one of this machine still
// lives. A process is told by the machine, the start of the system, the process-id namespace, its number and the
// moment it began, so that a number used again is not taken for the old process.
//
// The answers are hints. Alive says "dead" only where it is sure; a process of another machine, another namespace or
// of a system that tells too little counts as alive.
package process

// ID says which process of which machine one is. Empty and zero fields are unknown.
type ID struct {
	Machine   string // a hash of the machine's identity
	Boot      string // identity of this start of the system
	Namespace string // of the process ids
	PID       uint64
	Start     uint64 // when the process began, in units of the system
}

// Self is this process.
func Self() ID { return self() }

// Alive reports whether the process may still live. It is false only if this machine can tell that it does not:
// either the machine has been started again since, or nothing in the same namespace has its number and start.
func Alive(p ID) bool { return alive(p, Self(), begin) }

// alive decides by what is known of both processes. lookup tells when the process with that number began; false
// means that there is none, and 0 that the system does not tell.
func alive(p, me ID, lookup func(pid uint64) (start uint64, there bool)) bool {
	if p.Machine == "" || p.Machine != me.Machine || p.Boot == "" || me.Boot == "" {
		return true
	}
	if p.Boot != me.Boot {
		return false
	}
	if p.Namespace != me.Namespace {
		return true
	}
	start, there := lookup(p.PID)
	return there && (start == 0 || p.Start == 0 || start == p.Start)
}
