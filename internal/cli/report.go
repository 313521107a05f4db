package cli

import (
	"fmt"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/event"
)

// event shows what a verb reports.
func (a *app) event(e event.Event) {
	o := a.out
	switch e := e.(type) {
	case event.Entry:
		a.entry(e)
	case event.Phase:
		o.mu.Lock()
		p := o.progress
		o.mu.Unlock()
		if p != nil {
			name := e.Name
			p.phase.Store(&name)
		}
	case event.Warning:
		o.warn(e.Err.Error(), errs.Hint(e.Err))
	case event.Note:
		if o.json {
			o.emit("note", struct {
				Message string `json:"message"`
			}{e.Text})
			return
		}
		o.say("%s", oneLine(e.Text))
	}
}

// entryLine is the JSON form of one path's verdict.
type entryLine struct {
	jsonPath
	Verdict string `json:"verdict"`
	Bytes   int64  `json:"bytes,omitempty"`
	Error   string `json:"error,omitempty"`
}

// entry shows a path's verdict: failures always, the others with -v.
func (a *app) entry(e event.Entry) {
	o := a.out
	if e.Verdict != event.Failed && !o.verbose {
		return
	}
	if o.json {
		l := entryLine{jsonPath: pathJSON(shown(e.Path)), Verdict: e.Verdict.String(), Bytes: e.Bytes}
		if e.Err != nil {
			l.Error = e.Err.Error()
		}
		o.emit("entry", l)
		return
	}
	if e.Verdict == event.Failed {
		text := printable(shown(e.Path))
		if e.Err != nil {
			text += ": " + oneLine(e.Err.Error())
		}
		o.talk(o.paint(red, "error:") + " " + text + "\n")
		return
	}
	o.talk(fmt.Sprintf("%-9s %s\n", e.Verdict, printable(shown(e.Path))))
}
