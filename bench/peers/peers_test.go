package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nacre-backup/nacre/bench/internal/proc"
)

func TestEveryBarNamesKnownToolsAndOperations(t *testing.T) {
	t.Parallel()
	for _, b := range bars {
		for _, name := range []string{b.tool, b.peer} {
			if name != "" && tools[name].ops[b.op] == "" {
				t.Errorf("%+v: %s does not do %s", b, name, b.op)
			}
		}
	}
}

func TestCommandsFillPlacesAndKeepSpacesInPathsTogether(t *testing.T) {
	t.Parallel()
	p := places{src: "/a b", repo: "/r", n: 2}
	got := p.commands("borg init\nborg create ::s{n} {src} {/src}", t.TempDir())
	want := [][]string{{"borg", "init"}, {"borg", "create", "::s2", "/a b", "a b"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestKopiaRootIsThatOfTheLastSnapshot(t *testing.T) {
	t.Parallel()
	out := `[{"id":"1","rootEntry":{"obj":"k1"}},{"id":"2","rootEntry":{"obj":"k2"}}]`
	if got := kopiaRoot([]byte(out)); got != "k2" {
		t.Errorf("got %q", got)
	}
	if got := kopiaRoot([]byte("[]")); got != "" {
		t.Errorf("got %q of no snapshot", got)
	}
}

func TestTotalReadsTheLastLineOfStrace(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]int64{
		"100.00    0.012345           3      4115        12 total": 4115,
		"100.00    0.012345           3       115           total": 115,
	} {
		got, err := total([]byte("% time     seconds\n------\n" + line + "\n"))
		if err != nil || got != want {
			t.Errorf("%q: got %d, %v", line, got, err)
		}
	}
	if _, err := total([]byte("no account")); err == nil {
		t.Error("what is no account was read")
	}
}

func TestBarsAreJudgedByTheRatioOfMedians(t *testing.T) {
	t.Parallel()
	var all []result
	for tool, seconds := range map[string][]float64{"nacre": {9, 1, 2}, "restic": {10, 10}} {
		for _, s := range seconds {
			all = append(all, result{Corpus: "SRC", Tool: tool, Op: first, Usage: proc.Usage{User: s}})
		}
	}
	all = append(all, result{Corpus: "SRC", Tool: "nacre", Op: first, Usage: proc.Usage{User: 100}, Err: "it failed"})
	for limit, want := range map[float64]string{0.25: "pass", 0.1: "miss by 100 %"} {
		b := bar{"SRC", first, "nacre", cpu, "restic", limit, 0}
		if is, verdict := b.judge(all, "SRC"); is != "0.2" || verdict != want {
			t.Errorf("limit %g: %s, %s", limit, is, verdict)
		}
	}
	if _, verdict := (bar{"SRC", first, "nacre", cpu, "borg", 1, 0}).judge(all, "SRC"); verdict != "not measured" {
		t.Error(verdict)
	}
	var text strings.Builder
	if err := report(&text, slices.Clone(all)); err != nil || !strings.Contains(text.String(), "nacre first cpu / restic's") {
		t.Errorf("%v\n%s", err, &text)
	}
}
