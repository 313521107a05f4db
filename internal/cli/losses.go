package cli

import (
	"fmt"

	"github.com/nacre-backup/nacre/internal/sink"
	"github.com/nacre-backup/nacre/internal/units"
)

// lossJSON is an attribute that could not be restored.
type lossJSON struct {
	Attribute string   `json:"attribute"`
	Count     int64    `json:"count"`
	First     jsonPath `json:"first"`
	Reason    string   `json:"reason,omitempty"`
}

func lossesJSON(list []sink.Loss) (out []lossJSON) {
	for _, l := range list {
		j := lossJSON{Attribute: l.Attribute.String(), Count: l.Count, First: pathJSON(shown(l.First))}
		if l.Err != nil {
			j.Reason = l.Err.Error()
		}
		out = append(out, j)
	}
	return out
}

// lossText says what an attribute's loss is.
func lossText(l sink.Loss) string {
	s := fmt.Sprintf("not restored here: %s of %s entries, the first is %s", l.Attribute, units.Count(l.Count), printable(shown(l.First)))
	if l.Err != nil {
		s += ": " + l.Err.Error()
	}
	return s
}
