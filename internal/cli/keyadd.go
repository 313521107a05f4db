package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/repo"
	"github.com/nacre-backup/nacre/internal/secret"
)

// newPasswordFlags say where a new password comes from.
type newPasswordFlags struct {
	file, command string
}

func (f *newPasswordFlags) add(fl *pflag.FlagSet) {
	fl.StringVar(&f.file, "new-password-file", "", "read the new password from `FILE`")
	fl.StringVar(&f.command, "new-password-command", "", "read the new password from what shell command `CMD` prints")
}

// ageFlags name the recipients of a slot for age.
type ageFlags struct {
	recipients, files []string
}

func (f *ageFlags) add(fl *pflag.FlagSet) {
	fl.StringArrayVar(&f.recipients, "age-recipient", nil, "open with the age identity of `RECIPIENT` (age1...); may be repeated")
	fl.StringArrayVar(&f.files, "age-recipients-file", nil, "open with the age identity of any recipient in `FILE`")
}

func (f *ageFlags) given() bool { return len(f.recipients)+len(f.files) > 0 }

// recipients reads what the flags name.
func (a *app) recipients(f *ageFlags) (repo.Credential, error) {
	var c repo.Credential
	for _, text := range f.recipients {
		one, err := crypt.AgeRecipient(text)
		if err != nil {
			return c, err
		}
		c.Recipients = append(c.Recipients, one)
	}
	for _, path := range f.files {
		b, err := secret.FromFile(path, a.p.Stdin)
		if err != nil {
			return c, err
		}
		list, err := crypt.AgeRecipients(b)
		if err != nil {
			return c, fmt.Errorf("read age recipients from %s: %w", path, err)
		}
		c.Recipients = append(c.Recipients, list...)
	}
	return c, nil
}

// keyAddFlags say what a new slot opens with.
type keyAddFlags struct {
	password       newPasswordFlags
	keyfile, label string
	age            ageFlags
}

func (a *app) keyAdd() *cobra.Command {
	var f keyAddFlags
	cmd := &cobra.Command{
		Use:   "add",
		Short: "Add a password, a keyfile or age recipients",
		Long: `Add a key slot: a new password, typed twice or given by --new-password-file or
--new-password-command; or the keyfile that --new-keyfile names; or recipients
of age (https://age-encryption.org): whoever has the identity of one of them
opens the repository with --age-identity. (The ways to open it with a key that
it has already are those of every command.)

On a repository without encryption this is how it is closed.`,
		Example: example(`nacre key add --new-password-file "$HOME/new-password"`, `nacre key add --new-keyfile "$HOME/nacre.key" --label usb`),
		Args:    exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withVault(cmd.Context(), func(v *vault) error { return a.runKeyAdd(cmd.Context(), v, f) })
		},
	}
	fl := cmd.Flags()
	f.password.add(fl)
	fl.StringVar(&f.keyfile, "new-keyfile", "", "open with the key in `FILE`, which is generated if it does not exist")
	f.age.add(fl)
	fl.StringVar(&f.label, "label", "", "a name for the slot, readable without a key")
	return cmd
}

func (a *app) runKeyAdd(ctx context.Context, v *vault, f keyAddFlags) error {
	c, err := a.slotCredential(ctx, v, f)
	if err != nil {
		return err
	}
	wasOpen := v.repo.Unencrypted()
	s, err := v.repo.AddSlot(ctx, c, f.label, crypt.Argon2{})
	if err != nil {
		return err
	}
	if a.out.json {
		a.out.emit("summary", slotJSON(s))
		return nil
	}
	a.out.printf("added key slot %s (%s)\n", s.ID, s.Kind)
	if wasOpen && !v.repo.Unencrypted() {
		a.out.say("the repository does not open without a key any more; what was readable before may have been copied")
	}
	return nil
}

// slotCredential is what the new slot opens with.
func (a *app) slotCredential(ctx context.Context, v *vault, f keyAddFlags) (repo.Credential, error) {
	given := 0
	for _, is := range []bool{f.password.file != "", f.password.command != "", f.keyfile != "", f.age.given()} {
		if is {
			given++
		}
	}
	if given > 1 {
		return repo.Credential{}, errs.New(errs.Usage,
			"--new-password-file, --new-password-command, --new-keyfile and age recipients exclude each other")
	}
	switch {
	case f.age.given():
		return a.recipients(&f.age)
	case f.keyfile != "" && !exists(f.keyfile):
		k, err := crypt.NewKey(a.p.Rand)
		if err != nil {
			return repo.Credential{}, fmt.Errorf("generate a key: %w", err)
		}
		text := crypt.FormatKeyfile(k, v.repo.ID())
		if err := writeNew(f.keyfile, text); err != nil {
			return repo.Credential{}, fmt.Errorf("write the keyfile: %w", err)
		}
		a.out.say("wrote a new key to %s", f.keyfile)
		return repo.Credential{Keyfile: text}, nil
	case f.keyfile != "":
		b, err := secret.FromFile(f.keyfile, a.p.Stdin)
		return repo.Credential{Keyfile: b}, err
	}
	b, err := a.namedPassword(ctx, f.password)
	return repo.Credential{Password: b}, err
}

// namedPassword is the new password that the flags name, else one that is typed twice.
func (a *app) namedPassword(ctx context.Context, f newPasswordFlags) ([]byte, error) {
	switch {
	case f.file != "" && f.command != "":
		return nil, errs.New(errs.Usage, "--new-password-file and --new-password-command exclude each other")
	case f.file != "":
		return secret.FromFile(f.file, a.p.Stdin)
	case f.command != "":
		return secret.FromCommand(ctx, f.command, a.p.Stderr)
	}
	b, err := a.newPassword(ctx)
	if errors.Is(err, errs.Usage) && errs.Hint(err) != "" { // there is no terminal
		return nil, errs.WithHint(errs.New(errs.Usage, "no new password was given"),
			"give it by --new-password-file or --new-password-command, or run this on a terminal")
	}
	return b, err
}

func (a *app) keyPasswd() *cobra.Command {
	var f newPasswordFlags
	cmd := &cobra.Command{
		Use:   "passwd",
		Short: "Change the password",
		Long: `Put a new password, typed twice or given by --new-password-file or
--new-password-command, in the place of the one that opened the repository just
now. The old one opens it no more; other key slots stay.

Whoever knew the old password and had opened the repository with it may have
kept its keys: against them only a new repository helps.`,
		Example: example(`nacre key passwd --password-file "$HOME/password" --new-password-file "$HOME/new-password"`,
			`nacre key passwd --password-file "$HOME/new-password" --new-password-file "$HOME/password" --json`),
		Args: exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withVault(cmd.Context(), func(v *vault) error { return a.runKeyPasswd(cmd.Context(), v, f) })
		},
	}
	f.add(cmd.Flags())
	return cmd
}

func (a *app) runKeyPasswd(ctx context.Context, v *vault, f newPasswordFlags) error {
	if v.with.Password == nil {
		return errs.WithHint(errs.New(errs.Usage, "it is not a password that opened the repository: there is none to change"),
			"%s adds one; key remove takes another key slot away", a.onRepo("nacre key add"))
	}
	b, err := a.namedPassword(ctx, f)
	if err != nil {
		return err
	}
	if bytes.Equal(b, v.with.Password) {
		return errs.New(errs.Usage, "the new password is the old one")
	}
	s, err := v.repo.ReplacePassword(ctx, v.with.Password, b, "", crypt.Argon2{})
	if err != nil {
		return err
	}
	if a.out.json {
		a.out.emit("summary", slotJSON(s))
		return nil
	}
	a.out.printf("changed the password: key slot %s\n", s.ID)
	return nil
}
