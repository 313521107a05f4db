package main

import (
	"context"
	"path/filepath"

	"github.com/nacre-backup/nacre/bench/internal/disk"
	"github.com/nacre-backup/nacre/bench/internal/synth"
	"github.com/nacre-backup/nacre/internal/backup"
	"github.com/nacre-backup/nacre/internal/crypt"
	"github.com/nacre-backup/nacre/internal/repo"
	"github.com/nacre-backup/nacre/internal/source"
	"github.com/nacre-backup/nacre/internal/store/local"
	"github.com/nacre-backup/nacre/internal/view"
)

// runFiles lists n files, backs them up, backs them up again with nothing changed, and reads the tree.
func runFiles(ctx context.Context, n int, dir string) ([]phase, error) {
	src := &synth.Source{Files: n}
	var m meter
	err := m.measure("list", n, func() error {
		for _, err := range src.Entries(ctx) {
			if err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	r, store, err := initRepo(ctx, dir)
	if err != nil {
		return nil, err
	}
	options := backup.Options{
		Repo: r, Open: func(context.Context) (source.Source, error) { return src, nil },
		CacheDir: filepath.Join(dir, "cache"), StateDir: filepath.Join(dir, "state"),
		Host: "host", Roots: []string{"/"}, Program: "scale",
	}
	run := func() error {
		_, err := backup.Run(ctx, options)
		return err
	}
	if err := m.measure("first backup", n, run); err != nil {
		return nil, err
	}
	size, err := disk.Used(store)
	if err != nil {
		return nil, err
	}
	m.note(size)
	if err := m.measure("no change", n, run); err != nil {
		return nil, err
	}
	if err := m.measure("read the tree", n, func() error { return readTree(ctx, r, options.CacheDir) }); err != nil {
		return nil, err
	}
	return m.phases, nil
}

// initRepo makes an encrypted repository on disk; its key costs next to nothing to derive.
func initRepo(ctx context.Context, dir string) (r *repo.Repo, path string, err error) {
	path = filepath.Join(dir, "repo")
	s, err := local.Open(ctx, path, local.Options{Create: true})
	if err != nil {
		return nil, "", err
	}
	r, err = repo.Init(ctx, repo.InitOptions{
		Store: s, StateDir: filepath.Join(dir, "state"), Label: "scale",
		Credential: repo.Credential{Password: []byte("secret")}, Argon2: crypt.Argon2{Time: 1, Memory: 8 << 10, Threads: 1},
	})
	return r, path, err
}

func readTree(ctx context.Context, r *repo.Repo, cache string) error {
	v, err := view.Open(ctx, r, view.Options{CacheDir: cache})
	if err != nil {
		return err
	}
	snap, err := v.Resolve("latest")
	if err != nil {
		return err
	}
	t, err := v.Tree(snap)
	if err != nil {
		return err
	}
	c := t.Cursor()
	for {
		ok, err := c.Next(ctx)
		if err != nil {
			return err
		}
		if !ok {
			return v.Close()
		}
	}
}
