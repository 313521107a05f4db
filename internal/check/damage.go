package check

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/event"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/record"
)

// maxFiles is how many files are named for each damaged object and snapshot; the rest is counted.
const maxFiles = 100

// Damage is an object of the repository that is damaged or missing.
type Damage struct {
	// Object is its path in the repository. A blob of which no pack is known that has it is "blob" and its id; of those
	// the first 1,000 are named, and "other blobs" stands for the rest.
	Object string
	// Err says what is wrong; its kind is errs.NotFound or errs.Corrupt where one fits.
	Err error
	// Healed says that nothing is lost by it: another object says the same, or no live snapshot needs it.
	Healed bool
	// Needs lists the snapshots that have lost something with it, oldest first.
	Needs []*Need
	// Advice is what to do, in one or two sentences.
	Advice string
}

// Need is what one snapshot has lost.
type Need struct {
	Snapshot id.Session
	Time     int64    // nanoseconds since 1970
	Files    [][]byte // paths of the entries, at most 100
	More     int      // how many more there are
	// Ranges are parts of the tree whose entries cannot be read, "from X to Y".
	Ranges []string
}

// add notes damage of an object; what is said first stays.
func (c *checker) add(object string, err error) *Damage {
	c.mu.Lock()
	d := c.damage[object]
	known := d != nil
	if !known {
		d = &Damage{Object: object, Err: err}
		c.damage[object] = d
	}
	c.mu.Unlock()
	if !known {
		c.repo.Events().Emit(event.Warning{Err: fmt.Errorf("%s: %w", object, err)})
	}
	return d
}

// heal is add for an object whose loss costs nothing.
func (c *checker) heal(object string, err error) {
	d := c.add(object, err)
	c.mu.Lock()
	d.Healed = true
	c.mu.Unlock()
}

// need finds or makes the Need of a snapshot.
func (d *Damage) need(sid id.Session, time int64) *Need {
	for _, n := range d.Needs {
		if n.Snapshot == sid {
			return n
		}
	}
	n := &Need{Snapshot: sid, Time: time}
	d.Needs = append(d.Needs, n)
	return n
}

func (n *Need) file(path []byte) {
	if len(n.Files) > 0 && slices.Equal(n.Files[len(n.Files)-1], path) {
		return
	}
	if len(n.Files) == maxFiles {
		n.More++
		return
	}
	n.Files = append(n.Files, slices.Clone(path))
}

// finish completes the report.
func (c *checker) finish() {
	r := c.report
	r.Entries, r.Pages = c.entries.Load(), c.pagesRead.Load()
	r.ReadPacks, r.ReadBytes = c.readPacks.Load(), c.readBytes.Load()
	r.Damage = slices.SortedFunc(maps.Values(c.damage), func(a, b *Damage) int { return cmp.Compare(a.Object, b.Object) })
	for _, d := range r.Damage {
		if len(d.Needs) == 0 && (strings.HasPrefix(d.Object, record.Data) || strings.HasPrefix(d.Object, record.Meta)) {
			d.Healed = true // the trees were walked, and miss nothing of it
		}
		slices.SortFunc(d.Needs, func(a, b *Need) int { return cmp.Compare(a.Time, b.Time) })
		d.Advice = advice(d)
	}
}

// advice says what to do about damage.
//
//nolint:gocyclo // a list of cases, each with what to say
func advice(d *Damage) string {
	gone := errors.Is(d.Err, errs.NotFound)
	back := "Bring " + d.Object + " back from a copy of the repository if there is one."
	under := func(prefix string) bool { return strings.HasPrefix(d.Object, prefix) }
	switch {
	case under(record.Duplicates):
		return "Nothing is lost: the original is whole. Copy " + strings.TrimPrefix(d.Object, record.Duplicates) + " to " + d.Object + "."
	case d.Healed && (under(record.Fates) || under(record.Rings) || under(record.Keys) || d.Object == boot):
		return "Nothing is lost: the second copy is used. Copy " + record.DupPath(d.Object) + " to " + d.Object + "."
	case under(record.Indexes):
		return "Nothing is lost: the packs themselves say what they hold. Programs read their directories instead, which takes longer."
	case under(record.Fates) && gone:
		return back + " Otherwise its snapshot is lost; all others are as they were."
	case under(record.Fates):
		return back + " Until then its snapshot cannot be read, and prune deletes nothing."
	case under(record.Sessions):
		return "Nothing is lost. Prune cannot tell who writes there until the session has ended."
	case under(record.Tombstones), under(record.Condemns):
		return back + " It says what may be deleted; until it can be read, that is kept."
	case under(record.Keys):
		return "Add the key again (nacre key add), with another key of the repository."
	case under(record.Rings), d.Object == boot:
		return back
	case d.Healed || len(d.Needs) == 0:
		return "No snapshot has lost anything by it: what they need has another copy, or they need nothing of it."
	}
	return back + " Everything that is not listed can be restored. " +
		"The next backup from this machine stores again what the source still has, and its snapshot is whole."
}
