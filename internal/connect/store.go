package connect

import (
	"context"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/nacre-backup/nacre/internal/errs"
	"github.com/nacre-backup/nacre/internal/store"
	"github.com/nacre-backup/nacre/internal/store/local"
)

// Location is where a repository is, parsed.
type Location struct {
	Scheme string // a key of stores
	Text   string // for people; it holds no secret
	Path   string // of a local folder, absolute; else empty
}

// stores lists the members of the family by scheme.
var stores = map[string]func(ctx context.Context, l Location, create bool) (store.Store, error){
	"file": openLocal,
}

// ParseLocation reads what a user wrote: the path of a folder, or file:// and an absolute path.
func ParseLocation(text string) (Location, error) {
	if text == "" {
		return Location{}, errs.New(errs.Usage, "the repository's location is empty")
	}
	path := text
	if scheme, rest, ok := strings.Cut(text, ":"); ok && isScheme(scheme) {
		if scheme != "file" {
			// The rest may hold a password: it is not repeated.
			return Location{}, errs.WithHint(errs.New(errs.Usage, "repository %s:...: stores of kind %q are not known", scheme, scheme),
				"give the path of a folder; write ./ before it if its name has a colon")
		}
		path = strings.TrimPrefix(rest, "//")
		if !filepath.IsAbs(path) {
			return Location{}, errs.New(errs.Usage, "repository file:...: the path after file:// is not absolute")
		}
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return Location{}, errs.New(errs.Usage, "repository %s: %w", text, err)
	}
	return Location{Scheme: "file", Text: abs, Path: abs}, nil
}

// isScheme reports whether s can be a scheme: a letter, then letters, digits and +.-; on Windows one letter is a
// drive.
func isScheme(s string) bool {
	for i, r := range s {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || (r < '0' || r > '9') && !strings.ContainsRune("+.-", r)) {
			return false
		}
	}
	return s != "" && (len(s) > 1 || runtime.GOOS != "windows")
}

// OpenStore opens the store at a location. With create, a folder that is missing is made.
func OpenStore(ctx context.Context, l Location, create bool) (store.Store, error) {
	open, ok := stores[l.Scheme]
	if !ok {
		return nil, errs.New(errs.Usage, "repository %s: stores of kind %q are not known", l.Text, l.Scheme)
	}
	return open(ctx, l, create)
}

func openLocal(ctx context.Context, l Location, create bool) (store.Store, error) {
	return local.Open(ctx, l.Path, local.Options{Create: create})
}
