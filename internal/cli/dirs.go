package cli

import (
	"os"
	"os/user"
	"path/filepath"
	"runtime"

	"github.com/nacre-backup/nacre/internal/errs"
)

// home returns the user's home folder: $HOME, or what the system's user list says.
func (a *app) home() (string, error) {
	name := "HOME"
	if runtime.GOOS == "windows" {
		name = "USERPROFILE"
	}
	if v, _ := a.p.Env(name); v != "" {
		return v, nil
	}
	u, err := user.Current()
	if err != nil || u.HomeDir == "" {
		return "", errs.WithHint(errs.New(errs.Usage, "find the home folder: $%s is not set", name), "set $%s, or the $XDG_... variables", name)
	}
	return u.HomeDir, nil
}

// folder is one of the folders that a user's programs keep their files in.
type folder struct {
	variable string // of the XDG base directory specification
	unix     string // below the home folder
	darwin   string
	windows  string // a variable that names it
}

var (
	dataFolder   = folder{"XDG_DATA_HOME", ".local/share", "Library/Application Support", "LOCALAPPDATA"}
	configFolder = folder{"XDG_CONFIG_HOME", ".config", "Library/Application Support", "APPDATA"}
	stateFolder  = folder{"XDG_STATE_HOME", ".local/state", "Library/Application Support", "LOCALAPPDATA"}
	cacheFolder  = folder{"XDG_CACHE_HOME", ".cache", "Library/Caches", "LOCALAPPDATA"}
)

// dir returns nacre's own folder in f. It makes nothing.
func (a *app) dir(f folder) (string, error) {
	if v, _ := a.p.Env(f.variable); filepath.IsAbs(v) { // the specification: others are to be ignored
		return filepath.Join(v, "nacre"), nil
	}
	if runtime.GOOS == "windows" {
		if v, _ := a.p.Env(f.windows); v != "" {
			return filepath.Join(v, "nacre"), nil
		}
	}
	home, err := a.home()
	if err != nil {
		return "", err
	}
	below := f.unix
	switch runtime.GOOS {
	case "darwin":
		below = f.darwin
	case "windows":
		below = "AppData/Local"
	}
	return filepath.Join(home, filepath.FromSlash(below), "nacre"), nil
}

// cacheDir returns the folder of all caches, empty for none. A user without a home gets no cache: it is a hint.
func (a *app) cacheDir() string {
	if a.global.noCache {
		return ""
	}
	if a.global.cacheDir != "" {
		if abs, err := filepath.Abs(a.global.cacheDir); err == nil {
			return abs
		}
		return a.global.cacheDir
	}
	dir, err := a.dir(cacheFolder)
	if err != nil {
		return ""
	}
	return dir
}

// exists reports whether something stands at the path, or may stand there.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return !os.IsNotExist(err)
}
