package cli

import (
	"os"
	"path/filepath"
	"regexp"
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

// cachedProgram is a folder of the go command's cache that holds a program.
var cachedProgram = regexp.MustCompile(`/[0-9a-f]{2}/[0-9a-f]{64}-d$`)

// builtByGoRun reports whether the program lies where go run puts it: in a temporary folder that it removes,
// .../go-build123/b001/exe/nacre, or in its cache, .../go-build/c7/c746...-d/nacre.
func builtByGoRun(path string) bool {
	dir := filepath.ToSlash(filepath.Dir(path))
	return strings.HasSuffix(dir, "/exe") && strings.Contains(dir, "/go-build") || cachedProgram.MatchString(dir)
}

// commandLine returns a command as the user can give it, with how the program is called in the place of "nacre".
func (a *app) commandLine(command string) string {
	return a.program() + strings.TrimPrefix(command, "nacre")
}
