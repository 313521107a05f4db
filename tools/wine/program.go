package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// program builds nacre and lets it back up, check and restore a folder, and compares what comes back: content, times,
// write protection and hard links.
func (w *prefix) program(ctx context.Context, changes string) result {
	failed := func(err error) result { return result{"FAIL", err.Error()} }
	exe := filepath.Join(w.dir, "nacre.exe")
	if _, err := goWindows(ctx, []string{"build", "-overlay", changes, "-o", exe, "./cmd/nacre"}); err != nil {
		return failed(err)
	}
	dir := filepath.Join(w.dir, "prefix", "drive_c", "trial")
	source := filepath.Join(dir, "source")
	if err := sample(source); err != nil {
		return failed(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "password"), []byte("secret"), 0o600); err != nil {
		return failed(err)
	}
	begin := time.Now()
	for _, step := range []struct{ command, says string }{
		{`init`, "made a repository"},
		{`backup c:\trial\source`, " 0 failed"},
		{`backup C:\trial\source`, "Nothing changed"},
		{`ls latest:c:\trial\source\ünï`, "C:/trial/source/ünï/日本"},
		{`check --read-data`, "No damage was found"},
		{`restore latest --target C:\trial\whole --verify`, "Restored"},
		{`restore latest:C:\trial\source --target C:\trial\part`, "Restored"},
	} {
		args := strings.Fields(step.command + ` --repo C:\trial\repository --password-file C:\trial\password`)
		out, err := w.run(ctx, dir, exe, args...)
		if ctx.Err() != nil {
			return result{"n/a", "the time was over"}
		}
		if err != nil || !bytes.Contains(out, []byte(step.says)) {
			return failed(fmt.Errorf("nacre %s: %v\n%s", step.command, err, out))
		}
	}
	for _, back := range []string{filepath.Join(dir, "whole", "C", "trial", "source"), filepath.Join(dir, "part")} {
		if err := same(source, back); err != nil {
			return failed(err)
		}
	}
	return result{"ok", fmt.Sprintf("a folder was backed up and came back as it was, %v", time.Since(begin).Round(time.Second))}
}

// sample makes the folder: names of other alphabets, a path of more than 260 characters, a file of several packs, a
// file that is write-protected, one with two names.
func sample(dir string) error {
	long := dir
	for range 4 {
		long = filepath.Join(long, strings.Repeat("long", 30))
	}
	for _, d := range []string{long, filepath.Join(dir, "ünï", "日本"), filepath.Join(dir, "empty")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	big := make([]byte, 100_000_000)
	random := rand.NewChaCha8([32]byte{1})
	if _, err := random.Read(big); err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		filepath.Join(long, "end"): []byte("far away"), filepath.Join(dir, "ünï", "日本", "файл"): []byte("x"),
		filepath.Join(dir, "big"): big, filepath.Join(dir, "fixed"): []byte("y"), filepath.Join(dir, "none"): nil,
	} {
		if err := os.WriteFile(name, content, 0o644); err != nil {
			return err
		}
		stamp := time.Unix(1_500_000_000, 123_456_700)
		if err := os.Chtimes(name, stamp, stamp); err != nil {
			return err
		}
	}
	if err := os.Chmod(filepath.Join(dir, "fixed"), 0o444); err != nil {
		return err
	}
	return os.Link(filepath.Join(dir, "big"), filepath.Join(dir, "big too"))
}

// same compares two folders as Linux sees them.
func same(want, got string) error {
	if a, b := objects(want), objects(got); a != b {
		return fmt.Errorf("%s has %d objects, %s %d", want, a, got, b)
	}
	return filepath.WalkDir(want, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		other := got + strings.TrimPrefix(path, want)
		x, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		y, err := os.ReadFile(other)
		if err != nil {
			return err
		}
		i, err := os.Stat(path)
		if err != nil {
			return err
		}
		j, err := os.Stat(other)
		if err != nil {
			return err
		}
		if !bytes.Equal(x, y) || !i.ModTime().Equal(j.ModTime()) || i.Mode()&0o200 != j.Mode()&0o200 {
			return fmt.Errorf("%s: %d bytes, %v, %v; it was %d bytes, %v, %v", other, len(y), j.ModTime(), j.Mode(), len(x), i.ModTime(), i.Mode())
		}
		if d.Name() == "big too" {
			if k, err := os.Stat(filepath.Join(got, "big")); err != nil || !os.SameFile(j, k) {
				return fmt.Errorf("%s is no other name of big: %w", other, err)
			}
		}
		return nil
	})
}

// objects counts what is below a folder.
func objects(dir string) int {
	n := 0
	// What cannot be read is counted, and met again when it is compared.
	_ = filepath.WalkDir(dir, func(string, fs.DirEntry, error) error { n++; return nil })
	return n
}
