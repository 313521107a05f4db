package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/nacre-backup/nacre/bench/internal/proc"
)

// result is a line of the file of results: one operation measured once, or an account of a sitting (Machine is set) or
// of a tool (Version is set).
type result struct {
	Sitting string // when it began
	Corpus  string
	Machine string `json:",omitempty"`
	Tool    string `json:",omitempty"`
	Version string `json:",omitempty"`
	Op      string `json:",omitempty"`
	proc.Usage
	Stored int64   `json:",omitempty"` // bytes of the repository after it
	Added  int64   `json:",omitempty"` // bytes that it added
	Calls  int64   `json:",omitempty"` // system calls; nothing else was measured then
	Files  int64   `json:",omitempty"` // of the corpus
	Scale  float64 `json:",omitempty"`
	Loop   bool    `json:",omitempty"` // restored into a fresh file system
	Err    string  `json:",omitempty"`
	Time   time.Time
}

// value is one measure of a result; ok says whether it has it.
func (r result) value(measure string) (v float64, ok bool) {
	switch measure {
	case cpu:
		v = r.CPU()
	case user:
		v = r.User
	case wall:
		v = r.Wall
	case stored:
		v = float64(r.Stored)
	case grown:
		v = float64(r.Added)
	case anon:
		v = float64(r.Anon) / (1 << 20)
	case peak:
		v = float64(r.Peak) / (1 << 20)
	case calls:
		v = float64(r.Calls) / float64(max(1, r.Files))
	}
	return v, r.Err == "" && v != 0 && (r.Calls != 0) == (measure == calls)
}

// readResults reads the results of the last sitting of each corpus.
func readResults(path string) ([]result, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	var all []result
	last := map[string]string{}
	for dec := json.NewDecoder(bufio.NewReader(f)); ; {
		var r result
		if err := dec.Decode(&r); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		last[r.Corpus] = max(last[r.Corpus], r.Sitting)
		all = append(all, r)
	}
	return slices.DeleteFunc(all, func(r result) bool { return last[r.Corpus] != r.Sitting }), nil
}

// median of a measure of an operation; ok is false if it was not measured.
func median(all []result, corpus, tool, op, measure string) (v float64, n int, ok bool) {
	var values []float64
	for _, r := range all {
		if r.Corpus != corpus || r.Tool != tool || r.Op != op {
			continue
		}
		if v, ok := r.value(measure); ok {
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		return 0, 0, false
	}
	slices.Sort(values)
	m := len(values) / 2
	if len(values)%2 == 0 {
		return (values[m-1] + values[m]) / 2, len(values), true
	}
	return values[m], len(values), true
}

// report prints for each corpus what was measured and where nacre stands against the bars.
func report(w io.Writer, all []result) error {
	var corpora []string
	for _, r := range all {
		if !slices.Contains(corpora, r.Corpus) {
			corpora = append(corpora, r.Corpus)
		}
	}
	for _, c := range corpora {
		if err := errors.Join(table(w, all, c), against(w, all, c)); err != nil {
			return err
		}
	}
	return nil
}

// table prints the medians of a corpus.
func table(w io.Writer, all []result, corpus string) error {
	var names []string
	for _, r := range all {
		switch {
		case r.Corpus != corpus:
		case r.Machine != "":
			fmt.Fprintf(w, "%s, %s, %d files, scale %g: %s\n", r.Corpus, r.Sitting, r.Files, r.Scale, r.Machine)
		case r.Version != "":
			fmt.Fprintf(w, "  %s: %s\n", r.Tool, r.Version)
			names = append(names, r.Tool)
		case r.Err != "":
			fmt.Fprintf(w, "  %s %s: %s\n", r.Tool, r.Op, r.Err)
		}
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "op\ttool\truns\tCPU s\tuser s\twall s\tanon MiB\tpeak MiB\tstored MB\tadded MB\tcalls/file\t")
	for _, op := range operations {
		for _, name := range names {
			_, n, ok := median(all, corpus, name, op, wall)
			if !ok {
				continue
			}
			fmt.Fprintf(t, "%s\t%s\t%d\t", op, name, n)
			for _, m := range []struct {
				measure string
				unit    float64
			}{{cpu, 1}, {user, 1}, {wall, 1}, {anon, 1}, {peak, 1}, {stored, 1e6}, {grown, 1e6}, {calls, 1}} {
				if v, _, ok := median(all, corpus, name, op, m.measure); ok {
					fmt.Fprintf(t, "%s\t", figure(v/m.unit))
				} else {
					fmt.Fprint(t, "-\t")
				}
			}
			fmt.Fprintln(t)
		}
	}
	return t.Flush()
}

// against prints the bars of a corpus.
func against(w io.Writer, all []result, corpus string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nbar\tat most\tis\tverdict")
	for _, b := range bars {
		if b.corpus != corpus && b.corpus != "any" {
			continue
		}
		what := fmt.Sprintf("%s %s %s", b.tool, b.op, b.measure)
		if b.peer != "" {
			what += " / " + b.peer + "'s"
		}
		is, verdict := b.judge(all, corpus)
		fmt.Fprintf(t, "%s\t%g\t%s\t%s\n", what, b.limit, is, verdict)
	}
	fmt.Fprintln(t)
	return t.Flush()
}

// judge compares the medians with the bar.
func (b bar) judge(all []result, corpus string) (is, verdict string) {
	v, _, ok := median(all, corpus, b.tool, b.op, b.measure)
	if !ok {
		return "-", "not measured"
	}
	if b.peer != "" {
		p, _, ok := median(all, corpus, b.peer, b.op, b.measure)
		if !ok {
			return "-", "not measured"
		}
		v /= p
	}
	switch {
	case b.stretch > 0 && v <= b.stretch:
		verdict = fmt.Sprintf("pass, and the stretch %g", b.stretch)
	case v <= b.limit:
		verdict = "pass"
	default:
		verdict = fmt.Sprintf("miss by %.0f %%", 100*(v/b.limit-1))
	}
	return fmt.Sprintf("%.3g", v), verdict
}

func figure(v float64) string {
	switch {
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// sorted keys of the tools, for help.
func toolNames() []string {
	var names []string
	for n := range tools {
		names = append(names, n)
	}
	slices.SortFunc(names, cmp.Compare[string])
	return names
}
