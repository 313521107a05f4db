package cli

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"golang.org/x/sys/cpu"

	"github.com/nacre-backup/nacre/internal/connect"
	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
	"github.com/nacre-backup/nacre/internal/osfile"
	"github.com/nacre-backup/nacre/internal/repo"
)

// A key that nacre generates stands in the user's configuration folder as <repository>.key. It is written before the
// repository is made, under a name that begins with pending, since a repository without its key would be lost; the
// next opening gives it its name if a crash came between.
const (
	keySuffix = ".key"
	pending   = "new-"
)

// keyfiles lists the files that may hold this machine's key for the repository, the likely one first.
func (a *app) keyfiles(rid id.Repository) []string {
	dir, err := a.dir(configFolder)
	if err != nil {
		return nil
	}
	var list []string
	if path := filepath.Join(dir, rid.String()+keySuffix); exists(path) {
		list = append(list, path)
	}
	if more, err := filepath.Glob(filepath.Join(dir, pending+"*"+keySuffix)); err == nil {
		sort.Strings(more)
		list = append(list, more...)
	}
	return list
}

// settleKeyfile gives a pending key that opened the repository its name. Failing to is no harm: it is tried again.
func (a *app) settleKeyfile(path string, rid id.Repository) {
	if strings.HasPrefix(filepath.Base(path), pending) {
		_ = os.Rename(path, filepath.Join(filepath.Dir(path), rid.String()+keySuffix))
	}
}

// generateKey makes a key and writes it down as pending.
func (a *app) generateKey() (path string, k crypt.Key, err error) {
	dir, err := a.dir(configFolder)
	if err != nil {
		return "", k, err
	}
	if k, err = crypt.NewKey(a.p.Rand); err != nil {
		return "", k, fmt.Errorf("generate a key: %w", err)
	}
	name, err := a.randomName()
	if err != nil {
		return "", k, err
	}
	path = filepath.Join(dir, pending+name+keySuffix)
	if err = os.MkdirAll(dir, 0o700); err == nil {
		err = writeNew(path, crypt.FormatKeyfile(k, id.Repository{}))
	}
	if err != nil {
		return "", k, errs.WithHint(fmt.Errorf("keep the new key: %w", osfile.Classify(err)),
			"the configuration folder must be writable: see $HOME and $XDG_CONFIG_HOME")
	}
	return path, k, nil
}

func (a *app) randomName() (string, error) {
	var b [8]byte
	if _, err := io.ReadFull(a.p.Rand, b[:]); err != nil {
		return "", fmt.Errorf("read random bytes: %w", err)
	}
	return hex.EncodeToString(b[:]), nil
}

// writeNew makes a file that only its owner can read, and makes it durable. Nothing is left of it after a failure.
func writeNew(path string, content []byte) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(path)
		}
	}()
	if _, err := f.Write(content); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the names in a folder durable, where the system can.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }() // only read
	if err := d.Sync(); err != nil && !errors.Is(err, os.ErrInvalid) && !errors.Is(err, os.ErrPermission) {
		return err
	}
	return nil
}

// newRepo says what initAt makes.
type newRepo struct {
	credential   repo.Credential
	noEncryption bool
	label        string
	suite        crypt.Suite
}

// initAt makes a repository. Its vault is good for what init tells of it; reopen makes it one to work with.
func (a *app) initAt(ctx context.Context, at connect.Location, n newRepo) (*vault, error) {
	if err := a.refuseForeign(at); err != nil {
		return nil, err
	}
	made := madeFolders(at.Path)
	st, err := connect.OpenStore(ctx, at, true)
	if err != nil {
		return nil, fmt.Errorf("make a repository at %s: %w", at.Text, err)
	}
	v := &vault{at: at, store: st}
	if err := a.initIn(ctx, v, n); err != nil {
		_ = st.Close() // the first failure counts
		undoInit(at.Path, made)
		return nil, fmt.Errorf("make a repository at %s: %w", at.Text, err)
	}
	return v, nil
}

// madeFolders lists the folder and those above it that do not exist yet, the deepest first.
func madeFolders(path string) (list []string) {
	for path != "" && !exists(path) {
		list = append(list, path)
		if path == filepath.Dir(path) {
			break
		}
		path = filepath.Dir(path)
	}
	return list
}

// undoInit takes away what a failed making left in a folder that did not exist before. Where nacre.json came to stand,
// there is a repository, and nothing is taken away.
func undoInit(path string, made []string) {
	if len(made) == 0 || exists(filepath.Join(path, bootstrapName)) || exists(filepath.Join(path, "dup", bootstrapName)) {
		return
	}
	for name := range known {
		if name != "lost+found" {
			_ = os.RemoveAll(filepath.Join(path, name)) // what stays is harmless
		}
	}
	for _, dir := range made {
		_ = os.Remove(dir) // only if nothing is in it
	}
}

func (a *app) initIn(ctx context.Context, v *vault, n newRepo) error {
	state, err := a.dir(stateFolder)
	if err != nil {
		return err
	}
	name, err := a.randomName()
	if err != nil {
		return err
	}
	// The repository's id is not known before it is made: its state folder gets its name afterwards.
	interim := filepath.Join(state, pending+name)
	defer func() { _ = os.RemoveAll(interim) }()
	r, err := repo.Init(ctx, repo.InitOptions{
		Store: v.store, Clock: a.p.Clock, Rand: a.p.Rand, Credential: n.credential, NoEncryption: n.noEncryption,
		Suite: n.suite, SlotLabel: n.label, StateDir: interim, Label: hostName(), Events: a.event,
	})
	if err != nil {
		return err
	}
	if err := a.folders(v, r.ID()); err != nil {
		return err
	}
	if exists(interim) {
		if err := os.Rename(interim, v.state); err != nil {
			return fmt.Errorf("keep the repository's state: %w", err)
		}
	}
	v.repo = r
	return nil
}

// suite chooses the cipher: AES where the processor has instructions for it.
func suite() crypt.Suite {
	if cpu.X86.HasAES && cpu.X86.HasPCLMULQDQ || cpu.ARM64.HasAES && cpu.ARM64.HasPMULL || cpu.S390X.HasAESGCM {
		return crypt.SuiteAES
	}
	return crypt.SuiteChaCha
}

// known are the names that stand in a repository's folder, or in one whose making was interrupted.
var known = map[string]bool{
	"nacre.json": true, "keys": true, "ring": true, "data": true, "meta": true, "index": true, "sessions": true, "fates": true,
	"tombstones": true, "condemned": true, "era": true, "ledger": true, "parity": true, "dup": true, "quarantine": true,
	"probe": true, "+tmp": true, "lost+found": true,
}

// refuseForeign keeps a repository from being made among other files.
func (a *app) refuseForeign(at connect.Location) error {
	if at.Path == "" {
		return nil
	}
	entries, err := os.ReadDir(at.Path)
	if err != nil {
		return nil // there is none, or opening the store says what is wrong
	}
	for _, e := range entries {
		if !known[e.Name()] {
			return errs.WithHint(errs.New(errs.Exists, "make a repository at %s: the folder holds other files (%s)", at.Text, printable([]byte(e.Name()))),
				"a repository wants a folder of its own: choose a new one")
		}
	}
	return nil
}

// makeOwn makes the user's own repository with a generated key, which stands beside the data: a beginning.
func (a *app) makeOwn(ctx context.Context, at connect.Location) (*vault, error) {
	path, key, err := a.generateKey()
	if err != nil {
		return nil, err
	}
	credential := repo.Credential{Keyfile: crypt.FormatKeyfile(key, id.Repository{})}
	v, err := a.initAt(ctx, at, newRepo{credential: credential, label: "generated key of " + hostName(), suite: suite()})
	if err != nil {
		if !exists(filepath.Join(at.Path, bootstrapName)) {
			_ = os.Remove(path) // it opens nothing
		}
		return nil, err
	}
	final, err := a.keepKey(path, key, v.repo.ID())
	if err == nil {
		err = a.openWith(ctx, v, credential) // now with its own state folder
	}
	if err != nil {
		a.close(v)
		return nil, err
	}
	a.out.say("made a repository at %s", at.Text)
	a.out.say("its key is %s", final)
	if sameDisk(final, at.Path) {
		a.out.warn("the key and the data are on the same disk: if it dies, both are gone",
			"keep the 24 recovery words on paper ("+a.onRepo("nacre key kit")+"), and a second repository on another disk")
	}
	return v, nil
}

// keepKey writes the key under its repository's name and takes the pending file away.
func (a *app) keepKey(pendingPath string, key crypt.Key, rid id.Repository) (string, error) {
	final := filepath.Join(filepath.Dir(pendingPath), rid.String()+keySuffix)
	if err := writeNew(final, crypt.FormatKeyfile(key, rid)); err != nil {
		return "", errs.WithHint(fmt.Errorf("keep the new key: %w", err), "it is in %s; keep that file", pendingPath)
	}
	if err := os.Remove(pendingPath); err != nil {
		return "", fmt.Errorf("remove %s: %w", pendingPath, err)
	}
	return final, nil
}

// ownKey returns the key that this machine generated for the repository, if it did.
func (a *app) ownKey(rid id.Repository) (crypt.Key, bool) {
	dir, err := a.dir(configFolder)
	if err != nil {
		return crypt.Key{}, false
	}
	b, err := os.ReadFile(filepath.Join(dir, rid.String()+keySuffix))
	if err != nil {
		return crypt.Key{}, false
	}
	k, err := crypt.ParseKeyfile(bytes.TrimSpace(b))
	return k, err == nil
}

// kitMark is the file in the state folder that says that the recovery words were shown.
const kitMark = "kit-shown"

// kitWanted reports whether the recovery words of a generated key were never shown on this machine.
func (a *app) kitWanted(v *vault) bool {
	k, own := a.ownKey(v.repo.ID())
	if !own || len(v.with.Keyfile) == 0 {
		return false
	}
	used, err := crypt.ParseKeyfile(v.with.Keyfile)
	return err == nil && used == k && !exists(filepath.Join(v.state, kitMark))
}

// kitShown notes that they were. If that fails, the user is reminded once more.
func (a *app) kitShown(v *vault) {
	if err := os.MkdirAll(v.state, 0o700); err == nil {
		_ = os.WriteFile(filepath.Join(v.state, kitMark), nil, 0o600)
	}
}
