package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/repo"
	"github.com/nacre-backup/nacre/internal/secret"
)

// The names under which systemd hands secrets over in $CREDENTIALS_DIRECTORY.
const (
	credentialPassword    = "nacre-password"
	credentialKeyfile     = "nacre-keyfile"
	credentialAgeIdentity = "nacre-age-identity"
)

// given finds the secret that the user named: by a flag, a variable or systemd. It is nil if none was named.
func (a *app) given(ctx context.Context) (*repo.Credential, error) {
	if err := a.oneSecret(); err != nil {
		return nil, err
	}
	g := &a.global
	password, _ := a.p.Env("NACRE_PASSWORD")
	flagged := slices.ContainsFunc(secretFlags, a.root.PersistentFlags().Changed)
	switch {
	case password != "" && !flagged:
		return passwordCredential([]byte(password)), nil
	case g.passwordFile != "":
		b, err := secret.FromFile(g.passwordFile, a.p.Stdin)
		return passwordCredential(b), err
	case g.passwordCommand != "":
		b, err := secret.FromCommand(ctx, g.passwordCommand, a.p.Stderr)
		return passwordCredential(b), err
	case g.keyfile != "":
		b, err := secret.FromFile(g.keyfile, a.p.Stdin)
		return &repo.Credential{Keyfile: b}, err
	case g.ageIdentity != "":
		return a.ageCredential(g.ageIdentity)
	}
	return a.fromSystemd()
}

// oneSecret refuses two secrets of the same rank.
func (a *app) oneSecret() error {
	var named []string
	for _, name := range secretFlags {
		if a.root.PersistentFlags().Lookup(name).Value.String() != "" {
			named = append(named, "--"+name)
		}
	}
	if len(named) > 1 {
		return errs.New(errs.Usage, "%s exclude each other", strings.Join(named, " and "))
	}
	return nil
}

// fromSystemd takes the secret that a unit's LoadCredential= gives.
func (a *app) fromSystemd() (*repo.Credential, error) {
	dir, _ := a.p.Env("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return nil, nil
	}
	if path := filepath.Join(dir, credentialPassword); exists(path) {
		b, err := secret.FromFile(path, nil)
		return passwordCredential(b), err
	}
	if path := filepath.Join(dir, credentialKeyfile); exists(path) {
		b, err := secret.FromFile(path, nil)
		return &repo.Credential{Keyfile: b}, err
	}
	if path := filepath.Join(dir, credentialAgeIdentity); exists(path) {
		return a.ageCredential(path)
	}
	return nil, nil
}

// ageCredential reads a file of age identities.
func (a *app) ageCredential(path string) (*repo.Credential, error) {
	b, err := secret.FromFile(path, a.p.Stdin)
	if err != nil {
		return nil, err
	}
	ids, err := crypt.AgeIdentities(b)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return &repo.Credential{Identities: ids}, nil
}

// passwordCredential takes 24 recovery words in the place of a password for what they are.
func passwordCredential(b []byte) *repo.Credential {
	if isWords(b) {
		return &repo.Credential{Words: string(b)}
	}
	return &repo.Credential{Password: b}
}

// isWords reports whether b is a set of recovery words with a good checksum.
func isWords(b []byte) bool {
	if len(strings.Fields(string(b))) != 24 {
		return false
	}
	_, err := crypt.ParseWords(string(b))
	return err == nil
}

// tryCredentials opens the repository with what the user named, else with this machine's key for it, else without a
// secret, else with what the user types.
func (a *app) tryCredentials(ctx context.Context, v *vault, rid id.Repository) error {
	given, err := a.given(ctx)
	if err != nil {
		return err
	}
	if given != nil {
		return a.openGiven(ctx, v, *given)
	}
	found, keys := false, a.keyfiles(rid)
	for _, path := range keys {
		b, err := secret.FromFile(path, nil)
		if err != nil {
			a.out.warn(err.Error(), "")
			continue
		}
		found = true
		if err := a.openWith(ctx, v, repo.Credential{Keyfile: b}); err == nil {
			a.settleKeyfile(path, rid)
			return nil
		} else if !errors.Is(err, errs.WrongKey) {
			return err
		}
	}
	if err := a.openWith(ctx, v, repo.Credential{}); err == nil || !errors.Is(err, errs.WrongKey) {
		return err
	}
	if found {
		a.out.warn("the key of this machine does not open "+v.at.Text, "")
	}
	return a.ask(ctx, v)
}

// openGiven opens with a named secret. A password of 24 words that is no key may be a password after all.
func (a *app) openGiven(ctx context.Context, v *vault, c repo.Credential) error {
	err := a.openWith(ctx, v, c)
	if c.Words != "" && errors.Is(err, errs.WrongKey) {
		err = a.openWith(ctx, v, repo.Credential{Password: []byte(c.Words)})
	}
	if errors.Is(err, errs.WrongKey) {
		return errs.WithHint(err, "the repository is whole; give its password, keyfile, age identity or 24 recovery words")
	}
	return err
}

// ask lets the user type the password or the words, three times.
func (a *app) ask(ctx context.Context, v *vault) error {
	tty, done := a.tty()
	if tty == nil {
		return errs.WithHint(errs.New(errs.WrongKey, "open %s: no password was given", v.at.Text),
			"give it by --password-file, --password-command, --keyfile, --age-identity or $NACRE_PASSWORD, or run this on a terminal")
	}
	defer done()
	for try := 1; ; try++ {
		b, err := secret.FromTerminal(ctx, tty, "Password or recovery words of "+v.at.Text+": ")
		if err != nil {
			return err
		}
		if b = secret.Trim(b); len(b) == 0 {
			return errs.New(errs.WrongKey, "open %s: no password was given", v.at.Text)
		}
		err = a.openGiven(ctx, v, *passwordCredential(b))
		if err == nil || !errors.Is(err, errs.WrongKey) || try == 3 {
			return err
		}
		a.out.warn("that does not open it", "")
	}
}

// newPassword asks for a new password, twice.
func (a *app) newPassword(ctx context.Context) ([]byte, error) {
	tty, done := a.tty()
	if tty == nil {
		return nil, errs.WithHint(errs.New(errs.Usage, "no password was given"),
			"give it by --password-file, --password-command or $NACRE_PASSWORD, or run this on a terminal")
	}
	defer done()
	first, err := secret.FromTerminal(ctx, tty, "New password: ")
	if err != nil {
		return nil, err
	}
	if len(first) == 0 {
		return nil, errs.New(errs.Usage, "the password is empty")
	}
	second, err := secret.FromTerminal(ctx, tty, "Once more: ")
	if err != nil {
		return nil, err
	}
	if string(first) != string(second) {
		return nil, errs.New(errs.Usage, "the two passwords differ")
	}
	return first, nil
}

// tty opens the terminal for a question: none where nobody would see it.
func (a *app) tty() (f *os.File, done func()) {
	if !terminal(a.p.Stderr) || a.out.json {
		return nil, nil
	}
	a.out.endProgress()
	if f, err := os.OpenFile("/dev/tty", os.O_RDWR, 0); err == nil {
		return f, func() { _ = f.Close() }
	}
	if terminal(a.p.Stdin) {
		return a.p.Stdin, func() {}
	}
	return nil, nil
}
