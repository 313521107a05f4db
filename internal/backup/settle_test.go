package backup

import (
	"fmt"
	"testing"
	"time"

	"github.com/nacre-backup/nacre/internal/clock"
	"github.com/nacre-backup/nacre/internal/tree"
)

// stillClock says what a test sets.
type stillClock struct {
	clock.System
	sec int64
}

func (c *stillClock) Now() time.Time { return time.Unix(c.sec, 0) }

// A change in the last moments before a run began may share its time with one that the run did not see.
func TestPartOfAFileThatChangedJustBeforeTheRunIsReadAgain(t *testing.T) {
	t.Parallel()
	const start = 2_000_000_000
	for _, c := range []struct {
		changed int64
		resumed bool
	}{{start - 3, true}, {start - 2, false}, {start - 1, false}, {start, false}} {
		t.Run(fmt.Sprint(start-c.changed, " s before"), func(t *testing.T) {
			t.Parallel()
			clk := &stillClock{sec: start}
			b := newBenchWith(t, clk)
			n := b.src.write("big", noise(9, 6*testBig))
			n.entry.ChangeTime = tree.Time{Sec: c.changed}
			b.interruptAt(3 * testBig)
			clk.sec += 100
			if !c.resumed {
				n.content = append([]byte(nil), n.content...)
				copy(n.content, "written at the same moment")
			}
			b.backup()
			b.same()
			if again := b.src.bytes.Load(); (again < 6*testBig) != c.resumed {
				t.Errorf("%d bytes were read again", again)
			}
		})
	}
}

// What stood elsewhere in the last complete snapshot is judged by the start of that one's run, though a checkpoint of a
// later run stands for the place where it is now.
func TestMovedFileThatChangedJustBeforeTheLastSnapshotIsReadAgain(t *testing.T) {
	t.Parallel()
	const start = 2_000_000_000
	clk := &stillClock{sec: start}
	b := newBenchWith(t, clk)
	n := b.src.write("d/f", []byte("as the snapshot has it"))
	n.entry.ChangeTime = tree.Time{Sec: start - 1}
	b.backup()
	n.content = []byte("as it was soon after..")
	for i := range 600 {
		b.src.write(fmt.Sprintf("z/f%03d", i), noise(uint64(i), 3000))
	}
	clk.sec += 100
	b.interruptAfter(300)
	b.src.rename("d", "b")
	clk.sec += 100
	if sum := b.backup(); sum.ResumedFrom.IsZero() {
		t.Fatal("not resumed")
	}
	b.same()
}
