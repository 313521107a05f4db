package cli

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// shellQuote writes a word so that a POSIX shell reads it back (on Windows: cmd and PowerShell, as far as both go).
func shellQuote(s string) string {
	safe := s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("@%+=:,./-_", r)
	})
	if safe {
		return s
	}
	if runtime.GOOS == "windows" {
		return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"`
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// program returns how the program is called from here, as words for a shell: as it was called, or by go run where it
// was, since that removes the program when it has ended.
func (a *app) program() string {
	if len(a.p.Args) == 0 || a.p.Args[0] == "" {
		return "nacre"
	}
	called := a.p.Args[0]
	if !builtByGoRun(called) {
		return shellQuote(called)
	}
	if _, err := os.Stat(filepath.Join("cmd", "nacre", "main.go")); err == nil {
		return "go run ./cmd/nacre"
	}
	if dir, err := os.Getwd(); err == nil && strings.HasSuffix(filepath.ToSlash(dir), "/cmd/nacre") {
		return "go run ."
	}
	return "go run github.com/nacre-backup/nacre/cmd/nacre"
}

// builtByGoRun reports whether the program lies in a folder that go run removes: .../go-build123/b001/exe/nacre.
func builtByGoRun(path string) bool {
	dir := filepath.Dir(path)
	return filepath.Base(dir) == "exe" && strings.Contains(filepath.ToSlash(dir), "/go-build")
}

// commandLine returns a command as the user can give it, with how the program is called in the place of "nacre".
func (a *app) commandLine(command string) string {
	return a.program() + strings.TrimPrefix(command, "nacre")
}
