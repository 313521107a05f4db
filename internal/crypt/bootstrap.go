package crypt

import (
	"fmt"
	"time"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/id"
)

// Bootstrap is nacre.json: where a stranger begins. It holds no secret.
type Bootstrap struct {
	Version    int
	Repository id.Repository
	Created    time.Time
	ReadOnly   bool // the file asks for a feature that writers must know and this program does not
}

// bootstrapFile is nacre.json as it stands in the store.
type bootstrapFile struct {
	Format     string   `json:"format"`
	Version    int      `json:"version"`
	Repository string   `json:"repository"`
	Created    string   `json:"created"`
	Spec       string   `json:"specification"`
	Readme     []string `json:"readme"`
	NeedRead   []string `json:"need_read"`
	NeedWrite  []string `json:"need_write"`
}

const (
	formatName    = "nacre"
	formatVersion = 1
	formatSpec    = "https://github.com/nacre-backup/nacre/blob/main/docs/FORMAT.md"
)

// bootstrapReadme is for the one who finds the folder and has no program.
var bootstrapReadme = []string{
	"This folder is a nacre backup repository. Do not change, rename or delete anything in it by hand.",
	"To read it: install nacre, then run: nacre -r THIS-FOLDER snapshots",
	"The format is public, see \"specification\". Objects whose name ends in 64 hex digits are named by the BLAKE3 hash of their bytes: b3sum checks them without any key.",
	"Reading without nacre: open a key slot in keys/ with the password, keyfile or recovery words; it yields the key that opens the newest object in ring/;",
	"that holds the keys of all else. Each file in fates/ tells of one backup and names the packs in data/ and meta/.",
}

// NewBootstrap makes the file of a new repository.
func NewBootstrap(repo id.Repository, created time.Time) []byte {
	head, err := openObject(bootstrapFile{
		Format: formatName, Version: formatVersion, Repository: repo.String(),
		Created: created.UTC().Format(fileTimeForm), Spec: formatSpec, Readme: bootstrapReadme,
		NeedRead: []string{}, NeedWrite: []string{},
	})
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	return closeObject(head)
}

// ParseBootstrap reads nacre.json. Damage is errs.Corrupt; a later version or an unknown feature that readers must
// know is errs.Unsupported with a hint.
func ParseBootstrap(file []byte) (*Bootstrap, error) {
	var f bootstrapFile
	if _, err := checkObject(file, &f); err != nil {
		return nil, fmt.Errorf("read nacre.json: %w", err)
	}
	if f.Format != formatName {
		return nil, errs.New(errs.Corrupt, "read nacre.json: the format is %q, not %q", f.Format, formatName)
	}
	newer := func(format string, args ...any) error {
		err := errs.New(errs.Unsupported, "read nacre.json: "+format, args...)
		return errs.WithHint(err, "install a newer nacre")
	}
	if f.Version != formatVersion {
		return nil, newer("the repository has format version %d, this program knows %d", f.Version, formatVersion)
	}
	if len(f.NeedRead) > 0 {
		return nil, newer("reading needs the feature %q, which this program does not know", f.NeedRead[0])
	}
	repo, err := id.ParseRepository(f.Repository)
	if err != nil {
		return nil, errs.As(errs.Corrupt, fmt.Errorf("read nacre.json: %w", err))
	}
	created, err := time.Parse(fileTimeForm, f.Created)
	if err != nil {
		return nil, errs.As(errs.Corrupt, fmt.Errorf("read nacre.json: %w", err))
	}
	return &Bootstrap{Version: f.Version, Repository: repo, Created: created, ReadOnly: len(f.NeedWrite) > 0}, nil
}
