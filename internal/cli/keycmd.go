package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/repo"
)

func (a *app) keyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "key",
		Short:   "Manage what opens a repository: passwords, keyfiles, age, recovery words",
		GroupID: groupMaintain,
		Long: `A repository has one or more key slots; each opens it alone. The data is not
encrypted anew when a slot is added or removed.`,
		Example: example(`nacre key list`, `nacre key kit`),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return errs.WithHint(errs.New(errs.Usage, "there is no command %q", "key "+args[0]), "want list, add, passwd, remove or kit")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.keyList(), a.keyAdd(), a.keyPasswd(), a.keyRemove(), a.keyKit())
	return cmd
}

// slotLine is a key slot in JSON.
type slotLine struct {
	ID      string `json:"id"`
	Kind    string `json:"kind"`
	Label   string `json:"label,omitempty"`
	Created string `json:"created"`
}

func slotJSON(s repo.SlotInfo) slotLine {
	return slotLine{s.ID.String(), s.Kind, s.Label, jsonTime(s.Created)}
}

func (a *app) keyList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the key slots",
		Example: example(`nacre key list`, `nacre key list --json`),
		Args:    exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withVault(cmd.Context(), func(v *vault) error {
				slots, err := v.repo.ListSlots(cmd.Context())
				if err != nil {
					return err
				}
				if a.out.json {
					for _, s := range slots {
						a.out.emit("slot", slotJSON(s))
					}
					a.out.emit("summary", struct {
						Slots int `json:"slots"`
					}{len(slots)})
					return nil
				}
				t := tabwriter.NewWriter(resultWriter{a.out}, 0, 0, 2, ' ', 0)
				fmt.Fprintln(t, "ID\tKind\tCreated\tLabel") // Flush reports what fails
				for _, s := range slots {
					fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", s.ID, s.Kind, moment(s.Created), printable([]byte(s.Label)))
				}
				return t.Flush()
			})
		},
	}
}

// withVault opens the repository and runs fn.
func (a *app) withVault(ctx context.Context, fn func(*vault) error) error {
	v, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer a.close(v)
	return fn(v)
}

func (a *app) keyRemove() *cobra.Command {
	yes := false
	cmd := &cobra.Command{
		Use:   "remove ID",
		Short: "Remove a key slot",
		Long: `Remove the key slot of that id (or the beginning of one). The last one stays.

Whoever had opened the repository with it may have kept its keys: against them
only a new repository helps.`,
		Example: example(`nacre key remove "$SLOT" --yes`, `nacre key remove "$SLOT" --yes --json`),
		Args:    exactly(1, "the id of a key slot"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withVault(cmd.Context(), func(v *vault) error { return a.runKeyRemove(cmd.Context(), v, args[0], yes) })
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

func (a *app) runKeyRemove(ctx context.Context, v *vault, prefix string, yes bool) error {
	slots, err := v.repo.ListSlots(ctx)
	if err != nil {
		return err
	}
	var found []repo.SlotInfo
	for _, s := range slots {
		if strings.HasPrefix(s.ID.String(), strings.ToLower(prefix)) {
			found = append(found, s)
		}
	}
	switch {
	case len(found) == 0:
		return errs.WithHint(errs.New(errs.NotFound, "there is no key slot %q", prefix), "%s shows them", a.onRepo("nacre key list"))
	case len(found) > 1:
		return errs.New(errs.Usage, "%q begins the ids of %d key slots", prefix, len(found))
	case len(slots) == 1:
		return errs.WithHint(errs.New(errs.Usage, "key slot %s is the only one: without it nobody could open the repository", found[0].ID),
			"add another one first")
	}
	s := found[0]
	if err := a.confirm(ctx, yes, fmt.Sprintf("Key slot %s (%s %s) will open the repository no more.", s.ID, s.Kind, printable([]byte(s.Label)))); err != nil {
		return err
	}
	if err := v.repo.RemoveSlot(ctx, s.ID); err != nil {
		return err
	}
	if a.out.json {
		a.out.emit("summary", slotJSON(s))
		return nil
	}
	a.out.printf("removed key slot %s (%s)\n", s.ID, s.Kind)
	return nil
}

func (a *app) keyKit() *cobra.Command {
	return &cobra.Command{
		Use:   "kit",
		Short: "Print 24 recovery words",
		Long: `Print 24 words that open the repository when the password, the keyfile or this
machine is lost. Write them down or print them; keep them where the backup is
not. Give them where a password is asked for.

Where the repository opens with a keyfile, the words are that key. Otherwise a
key slot is added for them, each time.`,
		Example: example(`nacre key kit`, `nacre key kit --json`),
		Args:    exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withVault(cmd.Context(), func(v *vault) error { return a.runKeyKit(cmd.Context(), v) })
		},
	}
}

func (a *app) runKeyKit(ctx context.Context, v *vault) error {
	words, err := a.recoveryWords(ctx, v)
	if err != nil {
		return err
	}
	if a.out.json {
		a.out.emit("summary", struct {
			Repository string   `json:"repository"`
			ID         string   `json:"id"`
			Words      []string `json:"words"`
		}{v.at.Text, v.repo.ID().String(), words})
	} else {
		a.printKit(v, words)
	}
	if err := a.out.close(); err != nil { // words that did not reach their reader do not count as shown
		return fmt.Errorf("print the words: %w", err)
	}
	a.kitShown(v)
	return nil
}

// recoveryWords are the words of the key that opens the repository here, or of a new slot.
func (a *app) recoveryWords(ctx context.Context, v *vault) ([]string, error) {
	if v.repo.Unencrypted() {
		return nil, errs.WithHint(errs.New(errs.Usage, "the repository opens without a key: it needs no recovery words"),
			"%s closes it", a.onRepo("nacre key add"))
	}
	// What opened it just now is known to be good; a key that lies around may have been removed.
	switch {
	case len(v.with.Keyfile) > 0:
		k, err := crypt.ParseKeyfile(v.with.Keyfile)
		if err != nil {
			return nil, err
		}
		return crypt.Words(k), nil
	case v.with.Words != "":
		return strings.Fields(v.with.Words), nil
	}
	words, err := v.repo.AddRecoveryWords(ctx, "recovery words")
	if err != nil && errors.Is(err, errs.Denied) {
		err = errs.WithHint(err, "the recovery words need a key slot of their own, so the repository must be writable")
	}
	return words, err
}

// printKit prints what belongs into a safe.
func (a *app) printKit(v *vault, words []string) {
	var b strings.Builder
	fmt.Fprintf(&b, "\nRecovery words of the repository\n  %s\n  id %s\n\n", v.at.Text, v.repo.ID())
	for i, w := range words {
		fmt.Fprintf(&b, "%4d. %-10s", i+1, w)
		if i%4 == 3 {
			b.WriteByte('\n')
		}
	}
	b.WriteString(`
Write them down, in this order, and keep them away from the backup. They open
the repository on any machine with nothing else: give them, separated by
spaces, where nacre asks for the password.

`)
	a.out.printf("%s", b.String())
}
