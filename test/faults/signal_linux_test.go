package faults

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nacre-backup/nacre/internal/testkit/program"
)

// TestASignalSavesWhatIsDone sends the signals in the middle of the work.
func TestASignalSavesWhatIsDone(t *testing.T) {
	b := initialised(t)
	must(t, os.Mkdir(b.path("small"), 0o755))
	scatter(t, b.path("small"), 1, 60, 1, 40_000)
	first := b.backup(t, b.path("small"))
	must(t, os.Mkdir(b.path("src"), 0o755))
	words(t, b.path("src", "a"), 1, 8<<20)
	words(t, b.path("src", "b"), 2, 80<<20)
	program.Settle()
	last := ""
	for _, s := range []struct {
		signal syscall.Signal
		code   int
	}{{syscall.SIGINT, 130}, {syscall.SIGTERM, 143}} {
		p := b.start(t, "backup", "--json", "--compression", "max", b.path("src"))
		b.untilPacking(p)
		must(t, p.cmd.Process.Signal(s.signal))
		r := p.wait(t)
		if r.code != s.code {
			t.Fatalf("want exit code %d: %v", s.code, r)
		}
		lines := strings.Split(strings.TrimSpace(r.out), "\n")
		if got := lines[len(lines)-1]; !strings.Contains(got, fmt.Sprintf(`"code":"interrupted","exit_code":%d,"retryable":true`, s.code)) {
			t.Errorf("the last line tells nothing of it: %s", got)
		}
		sum := parseSummary(t, strings.Join(lines[:len(lines)-1], "\n"))
		if !sum.Checkpoint || sum.Snapshot.ID == "" {
			t.Fatalf("no checkpoint: %v", r)
		}
		if sum.ResumedFrom != last {
			t.Errorf("resumed from %q, want %q", sum.ResumedFrom, last)
		}
		last = sum.Snapshot.ID
		b.nothingHalfDone(t)
		b.restores(t, first.Snapshot.ID, b.path("small"), b.path("small"))
	}
	sum := b.backup(t, b.path("src"))
	if sum.ResumedFrom != last {
		t.Errorf("resumed from %q, want %q", sum.ResumedFrom, last)
	}
	if sum.Stats.Read >= 88<<20 {
		t.Errorf("%d bytes were read again", sum.Stats.Read)
	}
	b.nothingHalfDone(t)
	b.restores(t, "latest", b.path("src"), b.path("src"))
	if got := b.snapshots(t); len(got) != 2 {
		t.Errorf("%d snapshots, want 2", len(got))
	}
}

// TestASignalAtAnyMomentLeavesNothingHalfDone sends the signals at moments spread over a run that is short.
func TestASignalAtAnyMomentLeavesNothingHalfDone(t *testing.T) {
	b := initialised(t)
	must(t, os.Mkdir(b.path("src"), 0o755))
	r := rng(t)
	signals := []syscall.Signal{syscall.SIGINT, syscall.SIGTERM}
	whole := 300 * time.Millisecond
	for round := range 16 {
		scatter(t, b.path("src", fmt.Sprint("r", round)), uint64(100+round), 100, 1, 100_000)
		p := b.start(t, "backup", b.path("src"))
		s := signals[round%2]
		time.Sleep(time.Duration(r.Int64N(int64(whole))))
		if err := p.cmd.Process.Signal(s); err != nil {
			t.Logf("round %d: it had ended: %v", round, err)
		}
		res := p.wait(t)
		switch res.code {
		case 0: // it was about to end
			whole = whole*3/4 + res.took/4
		case 128 + int(s):
			if strings.Contains(res.said(), "00000000") {
				t.Errorf("a checkpoint that is none: %v", res)
			}
		case -1: // so early that the program did not listen yet
			if res.said() != "" {
				t.Errorf("round %d: it had begun: %v", round, res)
			}
		default:
			t.Fatalf("round %d: %v", round, res)
		}
		b.nothingHalfDone(t)
	}
	b.nacre(t, "backup", b.path("src"))
	b.nothingHalfDone(t)
	b.restores(t, "latest", b.path("src"), b.path("src"))
}
