package osfile

// Process names a running process so that another one, later, can tell whether it still runs. The fields are short
// texts of lower-case letters and digits; an empty one is not known on this system.
type Process struct {
	Machine   string // this installation: machine id and host name, hashed
	Boot      string // this boot of it, hashed
	Namespace string // the namespace that PID counts in
	PID       int
	Start     string // when the process started, by the kernel's count
}

// State is what can be said about a process.
type State uint8

// The states.
const (
	Unknown State = iota // of another machine or namespace, or this system does not tell
	Running              // it runs
	Dead                 // it ran in this boot of this machine and has ended
	Earlier              // it ran in an earlier boot of this machine, or of a clone with the same identity
)

// Self names this process.
func Self() Process { return self() }

// State tells whether the process still runs, as far as this process can see.
func (p Process) State() State {
	me := self()
	switch {
	case p.Machine == "" || p.Boot == "" || p.Start == "" || p.PID <= 0 || p.Machine != me.Machine:
		return Unknown
	case p.Boot != me.Boot:
		return Earlier
	case p.Namespace != me.Namespace:
		return Unknown
	case p == me:
		return Running
	}
	return stateOf(p)
}
