package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// sources says from what a program is built: a package of this project, or one of a peer's repository.
var sources = map[string]struct{ url, pkg, tags string }{
	"nacre":  {"", "./cmd/nacre", ""},
	"restic": {"https://github.com/restic/restic", "./cmd/restic", ""},
	"kopia":  {"https://github.com/kopia/kopia", ".", "nohtmlui"},
}

// build makes nacre, restic and kopia in the folder bin. A peer is built from the checkout of it below src, which is
// cloned if it is not there; what is in bin already stays, but for nacre. Other peers come from the system.
func build(bin, src string) error {
	bin, err := filepath.Abs(bin)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return err
	}
	var all error
	for name, s := range sources {
		out := filepath.Join(bin, name)
		if _, err := os.Stat(out); err == nil && s.url != "" {
			continue
		}
		if err := compile(out, filepath.Join(src, name), s.url, s.tags, s.pkg); err != nil {
			all = errors.Join(all, fmt.Errorf("build %s: %w", name, err))
		}
	}
	for _, p := range [][2]string{{"borg", "borgbackup"}, {"zpaq", "zpaq"}} {
		if _, err := exec.LookPath(p[0]); err != nil {
			fmt.Fprintf(os.Stderr, "%s is not there; on Debian: apt-get install %s\n", p[0], p[1])
		}
	}
	return all
}

// compile builds a package of the repository at url, cloned to dir, or of this project if url is empty.
func compile(out, dir, url, tags, pkg string) error {
	if url == "" {
		dir = "."
	} else if _, err := os.Stat(dir); err != nil {
		if text, err := exec.Command("git", "clone", "--depth", "1", url, dir).CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, text)
		}
	}
	cmd := exec.Command("go", "build", "-trimpath", "-tags", tags, "-o", out, pkg)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, text)
	}
	return nil
}
