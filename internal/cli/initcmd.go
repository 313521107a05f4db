package cli

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/repo"
)

// initFlags are the flags of init.
type initFlags struct {
	encryption string
	cipher     string
	age        ageFlags
	yes        bool
}

func (a *app) initCommand() *cobra.Command {
	var f initFlags
	cmd := &cobra.Command{
		Use:     "init [FOLDER]",
		Short:   "Make a repository",
		GroupID: groupDaily,
		Long: `Make a repository in FOLDER (or where --repo or $NACRE_REPOSITORY says). The
folder is made if it is missing; one that holds other files is refused.

The repository is encrypted. It opens with a password (asked for twice, or
given by --password-file, --password-command or $NACRE_PASSWORD), with a
keyfile (--keyfile names an existing one), with the identities of age recipients
(--age-recipient), or, with --encryption key, with a key that is generated and
kept in your configuration folder.

Without the password or key nobody can read it, and nobody can help: run
"nacre key kit" and keep the 24 recovery words on paper.`,
		Example: example(`nacre init --encryption key "$HOME/backup"`,
			`NACRE_PASSWORD_FILE="$HOME/password" nacre init --repo "$HOME/second"`),
		Args: between(0, 1, "the folder"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.runInit(cmd.Context(), f, args) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.encryption, "encryption", "auto", "protect it by `KIND`: auto (the secret given, else a password), key, or none")
	f.age.add(fl)
	fl.StringVar(&f.cipher, "cipher", "auto", "encrypt with `NAME`: auto, aes256-gcm or chacha20-poly1305")
	fl.BoolVarP(&f.yes, "yes", "y", false, "do not ask before making a repository without encryption")
	choices(cmd, "encryption", "auto", "key", "none")
	choices(cmd, "cipher", "auto", "aes256-gcm", "chacha20-poly1305")
	return cmd
}

//nolint:gocyclo // a list of refusals, then a case for each kind of encryption
func (a *app) runInit(ctx context.Context, f initFlags, args []string) error {
	if len(args) == 1 {
		if a.global.repo != "" && a.root.PersistentFlags().Changed("repo") {
			return errs.New(errs.Usage, "a folder and --repo exclude each other")
		}
		a.global.repo = args[0]
	}
	at, _, err := a.location()
	if err != nil {
		return err
	}
	if err := a.refuseForeign(at); err != nil {
		return err
	}
	n := newRepo{}
	if n.suite, err = parseCipher(f.cipher); err != nil {
		return err
	}
	if f.age.given() && f.encryption != "auto" {
		return errs.New(errs.Usage, "age recipients and --encryption %s exclude each other", f.encryption)
	}
	var v *vault
	switch f.encryption {
	case "auto":
		if n.credential, err = a.firstCredential(ctx, &f.age); err != nil {
			return err
		}
	case "key":
		v, err = a.makeOwn(ctx, at)
	case "none":
		n.noEncryption = true
		if err := a.confirm(ctx, f.yes, "Anyone who can read "+at.Text+" will be able to read all the files in it."); err != nil {
			return err
		}
	default:
		return errs.New(errs.Usage, "--encryption %s: want auto, key or none", f.encryption)
	}
	if v == nil && err == nil {
		v, err = a.initAt(ctx, at, n)
	}
	if err != nil {
		return err
	}
	defer a.close(v)
	a.initSummary(v, f, n)
	return nil
}

func parseCipher(name string) (crypt.Suite, error) {
	switch name {
	case "auto":
		return suite(), nil
	case "aes256-gcm":
		return crypt.SuiteAES, nil
	case "chacha20-poly1305":
		return crypt.SuiteChaCha, nil
	}
	return 0, errs.New(errs.Usage, "--cipher %s: want auto, aes256-gcm or chacha20-poly1305", name)
}

// initSummary tells what was made.
func (a *app) initSummary(v *vault, f initFlags, n newRepo) {
	if a.out.json {
		keyPath := ""
		if f.encryption == "key" {
			keyPath = a.keyfiles(v.repo.ID())[0]
		}
		a.out.emit("summary", struct {
			Repository string `json:"repository"`
			ID         string `json:"id"`
			Encrypted  bool   `json:"encrypted"`
			Keyfile    string `json:"keyfile,omitempty"`
		}{v.at.Text, v.repo.ID().String(), !n.noEncryption, keyPath})
		return
	}
	if f.encryption != "key" {
		a.out.say("made a repository at %s", v.at.Text)
	}
	a.out.say("its id is %s", v.repo.ID())
	if n.noEncryption {
		a.out.warn("the repository is not encrypted: whoever can read it reads all your files",
			a.onRepo("nacre key add")+" closes it with a password")
		return
	}
	a.afterInit(v, f.encryption == "key")
}

// afterInit tells how not to lose the key: the words themselves where the key was generated and a terminal shows
// them.
func (a *app) afterInit(v *vault, generated bool) {
	if generated && a.kitWanted(v) && terminal(a.p.Stdout) && !a.out.quiet {
		if k, ok := a.ownKey(v.repo.ID()); ok {
			a.printKit(v, crypt.Words(k))
			a.kitShown(v)
		}
		return
	}
	a.out.say("%s prints recovery words, which open it when the %s is lost", a.onRepo("nacre key kit"),
		map[bool]string{true: "key", false: "password, keyfile or identity"}[generated])
}

// repoFlag is the flag that names the repository for another command, where one is needed.
func (a *app) repoFlag() string {
	if a.global.repo == "" {
		return ""
	}
	if v, _ := a.p.Env("NACRE_REPOSITORY"); v == a.global.repo {
		return ""
	}
	return " --repo " + shellQuote(a.global.repo)
}

// firstCredential is what a new repository opens with: age recipients, what was named, else a password typed twice.
func (a *app) firstCredential(ctx context.Context, f *ageFlags) (repo.Credential, error) {
	if !f.given() {
		return a.newCredential(ctx)
	}
	given, err := a.given(ctx)
	switch {
	case err != nil:
		return repo.Credential{}, err
	case given != nil && len(given.Identities) == 0:
		return repo.Credential{}, errs.WithHint(errs.New(errs.Usage, "a new repository has one key slot: for age recipients or for another secret"),
			"%s adds more", a.onRepo("nacre key add"))
	}
	return a.recipients(f)
}

// onRepo is a command for the repository of this run.
func (a *app) onRepo(command string) string { return a.commandLine(command + a.repoFlag()) }

// newCredential is what a new repository or slot opens with: what was named, else a password typed twice.
func (a *app) newCredential(ctx context.Context) (repo.Credential, error) {
	given, err := a.given(ctx)
	if err != nil {
		return repo.Credential{}, err
	}
	if given != nil {
		if given.Words != "" { // words are for keys that exist
			return repo.Credential{}, errs.New(errs.Usage, "24 recovery words cannot be a new password")
		}
		if len(given.Identities) > 0 {
			return repo.Credential{}, errs.WithHint(errs.New(errs.Usage, "an age identity opens repositories; a new one is made for recipients"), "name them by --age-recipient")
		}
		return *given, nil
	}
	b, err := a.newPassword(ctx)
	return repo.Credential{Password: b}, err
}

// confirm asks before something that cannot be undone. Off a terminal --yes is needed.
func (a *app) confirm(ctx context.Context, yes bool, what string) error {
	if yes {
		return nil
	}
	tty, done := a.tty()
	if tty == nil {
		return errs.WithHint(errs.New(errs.Usage, "this has to be confirmed: %s", what), "add --yes")
	}
	defer done()
	if _, err := fmt.Fprintf(tty, "%s\nType yes to go on: ", what); err != nil {
		return fmt.Errorf("ask: %w", err)
	}
	answer, err := readLine(ctx, tty)
	if err != nil {
		return err
	}
	if strings.TrimSpace(answer) != "yes" {
		return errs.New(errs.Usage, "not confirmed: nothing was changed")
	}
	return nil
}

// readLine reads a line that the user types.
func readLine(ctx context.Context, tty *os.File) (string, error) {
	type answer struct {
		s   string
		err error
	}
	answers := make(chan answer, 1) // one answer: the goroutine never waits for its reader
	go func() {
		var b [1024]byte
		n, err := tty.Read(b[:])
		answers <- answer{string(b[:n]), err}
	}()
	select {
	case r := <-answers:
		if r.err != nil {
			return "", fmt.Errorf("ask: %w", r.err)
		}
		return r.s, nil
	case <-ctx.Done():
		return "", context.Cause(ctx) // the goroutine sits in a read that cannot be ended; it ends with the process
	}
}
