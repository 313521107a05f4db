package files

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/nacre-backup/nacre/internal/errs"
)

// tempPrefix begins the names under which files that replace others are written.
const tempPrefix = ".nacre-tmp-"

// checkName refuses what is no single component.
func checkName(name []byte) error {
	switch {
	case len(name) == 0, bytes.IndexByte(name, '/') >= 0, bytes.IndexByte(name, 0) >= 0, string(name) == ".",
		string(name) == "..":
		return errs.New(errs.Corrupt, "%q is no name of a single object", name)
	}
	return nil
}

// checkDir refuses a directory path of which a component is no name.
func checkDir(dir []byte) error {
	for len(dir) > 0 {
		name, rest, more := bytes.Cut(dir, []byte("/"))
		if err := checkName(name); err != nil {
			return err
		}
		if more && len(rest) == 0 {
			return errs.New(errs.Corrupt, "path %q ends with a slash", dir)
		}
		dir = rest
	}
	return nil
}

// windowsName refuses what Windows would take for another name, a device or a path: restoring it would write to
// something else than the name says.
func windowsName(name []byte) error {
	bad := func(why string) error {
		return errs.New(errs.Unsupported, "name %q cannot exist on Windows: %s", name, why)
	}
	if i := bytes.IndexAny(name, `\:*?"<>|`); i >= 0 {
		return bad(fmt.Sprintf("it contains %q", name[i]))
	}
	for _, c := range name {
		if c < 0x20 {
			return bad("it contains a control character")
		}
	}
	if c := name[len(name)-1]; c == '.' || c == ' ' {
		return bad("it ends with a dot or a space")
	}
	stem, _, _ := strings.Cut(strings.ToUpper(string(name)), ".")
	stem = strings.TrimRight(stem, " ")
	switch stem {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$":
		return bad("it is the name of a device")
	}
	if n := []rune(stem); len(n) == 4 && (stem[:3] == "COM" || stem[:3] == "LPT") &&
		strings.ContainsRune("0123456789¹²³", n[3]) {
		return bad("it is the name of a device")
	}
	return nil
}

// withoutVolume returns a path, of which the first component may be a volume of Windows, as Windows can have it below a
// folder: C:/a as C/a, and \\server\share/a as server-share/a.
func withoutVolume(path []byte) []byte {
	volume, rest, _ := bytes.Cut(path, []byte("/"))
	switch {
	case len(volume) == 2 && volume[1] == ':':
		volume = volume[:1]
	case bytes.HasPrefix(volume, []byte(`\\`)):
		volume = bytes.ReplaceAll(volume[2:], []byte(`\`), []byte("-"))
	default:
		return path
	}
	if len(rest) == 0 {
		return volume
	}
	return join(volume, rest)
}

// kind gives a system's error the kind that callers tell apart.
func kind(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, errQuota):
		return errs.As(errs.Full, err)
	case errors.Is(err, fs.ErrPermission):
		return errs.As(errs.Denied, err)
	case errors.Is(err, fs.ErrExist):
		return errs.As(errs.Exists, err)
	case errors.Is(err, fs.ErrNotExist):
		return errs.As(errs.NotFound, err)
	}
	return err
}

// failed says what was tried on which path.
func failed(what string, dir, name []byte, err error) error {
	return fmt.Errorf("%s %q: %w", what, join(dir, name), kind(err))
}

// inTheWay is the error of an object that may not be replaced by the entry.
func inTheWay(what string) error {
	return errs.WithHint(errs.New(errs.Exists, "%s is in the way", what),
		"move it away, or restore into another folder")
}
