package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/nacre-backup/nacre/internal/connect"
	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/record"
	"github.com/nacre-backup/nacre/internal/repo"
	"github.com/nacre-backup/nacre/internal/store"
	"github.com/nacre-backup/nacre/internal/view"
)

// vault is an open repository with this machine's folders for it.
type vault struct {
	at    connect.Location
	store store.Store
	repo  *repo.Repo
	cache string          // empty: none
	state string          // empty: none
	with  repo.Credential // what opened it
}

// location is where the repository is: what --repo or $NACRE_REPOSITORY says, else the user's own.
func (a *app) location() (l connect.Location, own bool, err error) {
	if a.global.repo == "" && a.root.PersistentFlags().Changed("repo") {
		return l, false, errs.WithHint(errs.New(errs.Usage, "--repo names no repository: it is empty"), "is a variable not set?")
	}
	if a.global.repo != "" {
		l, err = connect.ParseLocation(a.global.repo)
		return l, false, err
	}
	dir, err := a.dir(dataFolder)
	if err != nil {
		return l, true, errs.WithHint(err, "or name a repository by --repo or $NACRE_REPOSITORY")
	}
	l, err = connect.ParseLocation(filepath.Join(dir, "repository"))
	return l, true, err
}

// open opens the repository. The caller closes the vault.
func (a *app) open(ctx context.Context) (*vault, error) {
	at, own, err := a.location()
	if err != nil {
		return nil, err
	}
	return a.openAt(ctx, at, own)
}

func (a *app) openAt(ctx context.Context, at connect.Location, own bool) (*vault, error) {
	st, err := connect.OpenStore(ctx, at, false)
	if err != nil {
		return nil, a.noRepository(at, own, err)
	}
	v := &vault{at: at, store: st}
	if err := a.unlock(ctx, v); err != nil {
		_ = st.Close() // the first failure counts
		return nil, a.noRepository(at, own, err)
	}
	if v.repo.Unencrypted() {
		a.out.warn("the repository "+at.Text+" is not encrypted: whoever can read it reads all your files",
			a.onRepo("nacre key add")+" closes it with a password")
	}
	return v, nil
}

// noRepository makes one message of the ways in which a place can hold no repository.
func (a *app) noRepository(at connect.Location, own bool, err error) error {
	if !errors.Is(err, errs.NoRepository) && !errors.Is(err, errs.NotFound) {
		return err
	}
	if own {
		return errs.WithHint(errs.New(errs.NoRepository, "there is no repository yet"),
			"%s makes one at %s; or name one by --repo or $NACRE_REPOSITORY", a.commandLine("nacre backup PATH"), at.Text)
	}
	reason := "it holds no nacre.json"
	if at.Path != "" && !exists(at.Path) {
		reason = "the folder does not exist"
	}
	return errs.WithHint(errs.New(errs.NoRepository, "%s is no repository: %s", at.Text, reason),
		"%s makes one there", a.commandLine("nacre init --repo "+shellQuote(at.Text)))
}

// unlock reads who the repository is, finds this machine's folders for it and a secret, and opens it.
func (a *app) unlock(ctx context.Context, v *vault) error {
	boot, err := readBootstrap(ctx, v.store)
	if errors.Is(err, errs.Unsupported) {
		return errs.As(errNewerFormat, fmt.Errorf("open %s: %w", v.at.Text, err))
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", v.at.Text, err)
	}
	if err := a.folders(v, boot.Repository); err != nil {
		return err
	}
	return a.tryCredentials(ctx, v, boot.Repository)
}

// folders finds the cache and state folders of a repository.
func (a *app) folders(v *vault, rid id.Repository) error {
	if c := a.cacheDir(); c != "" {
		v.cache = filepath.Join(c, rid.String())
	}
	state, err := a.dir(stateFolder)
	if err != nil {
		return err
	}
	v.state = filepath.Join(state, rid.String())
	return nil
}

// bootstrapName is the object that makes a place a repository.
const bootstrapName = "nacre.json"

// readBootstrap reads nacre.json, or its second copy where it is damaged or gone.
func readBootstrap(ctx context.Context, st store.Store) (*crypt.Bootstrap, error) {
	var first error
	for _, name := range []string{bootstrapName, record.DupPath(bootstrapName)} {
		var file []byte
		err := st.Get(ctx, name, store.Range{}, func(r io.Reader) (err error) {
			file, err = io.ReadAll(io.LimitReader(r, 1<<20))
			return err
		})
		if err == nil {
			var b *crypt.Bootstrap
			if b, err = crypt.ParseBootstrap(file); err == nil {
				return b, nil
			}
		}
		if first == nil {
			first = err
		}
		if !errors.Is(err, errs.NotFound) && !errors.Is(err, errs.Corrupt) {
			return nil, err
		}
	}
	return nil, first
}

// openWith opens the repository with one credential.
func (a *app) openWith(ctx context.Context, v *vault, c repo.Credential) error {
	r, err := repo.Open(ctx, repo.OpenOptions{
		Store: v.store, Clock: a.p.Clock, Rand: a.p.Rand, Credential: c, StateDir: v.state, Label: hostName(), Events: a.event,
	})
	if err != nil {
		return fmt.Errorf("open %s: %w", v.at.Text, err)
	}
	v.repo, v.with = r, c
	return nil
}

// close ends the vault. An error here is after the work: it is told, not returned.
func (a *app) close(v *vault) {
	if err := v.store.Close(); err != nil {
		a.out.warn(fmt.Sprintf("close %s: %v", v.at.Text, err), "")
	}
}

// look opens the repository and a view of it, and runs fn.
func (a *app) look(ctx context.Context, fn func(*vault, *view.View) error) error {
	v, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer a.close(v)
	w, err := view.Open(ctx, v.repo, view.Options{CacheDir: v.cache})
	if err != nil {
		return fmt.Errorf("read %s: %w", v.at.Text, err)
	}
	defer func() {
		if err := w.Close(); err != nil {
			a.out.warn(fmt.Sprintf("close the caches: %v", err), "")
		}
	}()
	for _, al := range w.State().Alarms() {
		a.out.warn(fmt.Sprintf("snapshot %s is missing, though %s names it", al.Session, al.NamedBy),
			a.onRepo("nacre check")+" tells more")
	}
	if u := w.State().Unknowns(); len(u) > 0 {
		a.out.warn(fmt.Sprintf("%d objects do not verify or are gone, the first is %s: %v", len(u), u[0].Path, u[0].Err),
			a.onRepo("nacre check")+" tells which, and what they mean")
	}
	return fn(v, w)
}

// hostName is this machine's name, never empty.
func hostName() string {
	h, err := os.Hostname()
	if err != nil || h == "" {
		return "localhost"
	}
	return h
}
