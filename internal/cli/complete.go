package cli

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nacre-backup/nacre/internal/session"
	"github.com/nacre-backup/nacre/internal/units"
)

// completionTime bounds how long a shell waits for proposals, unless $NACRE_COMPLETION_TIME says otherwise.
const completionTime = 2 * time.Second

// patience is completionTime or what the user chose.
func (a *app) patience() time.Duration {
	v, _ := a.p.Env("NACRE_COMPLETION_TIME")
	if d, err := units.ParseDuration(v); err == nil && d > 0 {
		return d
	}
	return completionTime
}

// proposals are what can be completed from the snapshots, which are given newest first, where the user has begun a word.
type proposals func(snapshots []*session.Snapshot, begun string) []cobra.Completion

// completeSnapshots lets a shell propose snapshots for the first n arguments of a command.
func (a *app) completeSnapshots(n int) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) >= n {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return a.propose(cmd, begun, snapshotProposals)
	}
}

// completeFlag lets a shell propose values for a flag.
func (a *app) completeFlag(cmd *cobra.Command, flag string, what proposals) {
	err := cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return a.propose(cmd, begun, what)
	})
	if err != nil {
		panic(fmt.Sprintf("cli: complete --%s of %s: %v", flag, cmd.Name(), err))
	}
}

// propose looks at the repository's snapshots. Where that fails, takes longer than a person waits for a shell, or would
// have to ask, it proposes nothing and says nothing.
func (a *app) propose(cmd *cobra.Command, begun string, what proposals) ([]cobra.Completion, cobra.ShellCompDirective) {
	const found, none = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder, cobra.ShellCompDirectiveNoFileComp
	if a.applyEnvironment(cmd.Flags()) != nil || a.global.passwordCommand != "" { // a command may ask, too
		return nil, none
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), a.patience())
	defer cancel()
	list := make(chan []*session.Snapshot, 1)
	go func() { list <- a.silentSnapshots(ctx) }() // the process ends with it, if reading a file hangs
	select {
	case snapshots := <-list:
		var fit []cobra.Completion
		for _, c := range what(snapshots, begun) {
			if strings.HasPrefix(c, begun) {
				fit = append(fit, c)
			}
		}
		if len(fit) == 0 {
			return nil, none
		}
		return fit, found
	case <-ctx.Done():
		return nil, none
	}
}

// silentSnapshots lists the snapshots, newest first, without a word or a question.
func (a *app) silentSnapshots(ctx context.Context) []*session.Snapshot {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil
	}
	defer func() { _ = null.Close() }() // nothing is kept in it
	p := a.p
	p.Stdin, p.Stdout, p.Stderr = null, null, null // no terminal: no question
	silent := &app{p: p, root: a.root, global: a.global, out: newOutput(p), stopped: a.stopped}
	v, err := silent.open(ctx)
	if err != nil {
		return nil
	}
	defer silent.close(v)
	state, err := session.List(ctx, v.repo)
	if err != nil {
		return nil
	}
	list := slices.Clone(state.Snapshots())
	slices.Reverse(list)
	return list
}

// snapshotProposals are "latest", the names and the ids.
func snapshotProposals(list []*session.Snapshot, begun string) (all []cobra.Completion) {
	if len(list) > 0 {
		all = append(all, described("latest", list[0]))
	}
	all = append(all, nameProposals(list, begun)...)
	short := map[string]int{}
	for _, s := range list {
		short[shortID(s)]++
	}
	for _, s := range list {
		text := shortID(s)
		if short[text] > 1 || len(begun) > len(text) {
			text = s.ID.String()
		}
		all = append(all, described(text, s))
	}
	return all
}

// nameProposals are the names, each with its newest snapshot.
func nameProposals(list []*session.Snapshot, _ string) (all []cobra.Completion) {
	seen := map[string]bool{"": true}
	for _, s := range list {
		if name := s.Record.Name; !seen[name] {
			seen[name] = true
			all = append(all, described(name, s))
		}
	}
	return all
}

// described is a proposal with what a person knows a snapshot by.
func described(text string, s *session.Snapshot) cobra.Completion {
	about := []string{moment(s.Record.Time), printable([]byte(s.Record.Host))}
	for _, p := range s.Record.Paths {
		about = append(about, printable(p))
	}
	return cobra.CompletionWithDesc(text, strings.Join(about, " "))
}

// tagProposals are the tags of all snapshots.
func tagProposals(list []*session.Snapshot, _ string) []cobra.Completion {
	return distinct(list, func(s *session.Snapshot) []string { return s.Record.Tags })
}

// hostProposals are the hosts of all snapshots.
func hostProposals(list []*session.Snapshot, _ string) []cobra.Completion {
	return distinct(list, func(s *session.Snapshot) []string { return []string{s.Record.Host} })
}

func distinct(list []*session.Snapshot, of func(*session.Snapshot) []string) (all []cobra.Completion) {
	for _, s := range list {
		all = append(all, of(s)...)
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(s string) bool { return s == "" })
}
