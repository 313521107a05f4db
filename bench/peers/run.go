package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nacre-backup/nacre/bench/internal/corpus"
	"github.com/nacre-backup/nacre/bench/internal/disk"
	"github.com/nacre-backup/nacre/bench/internal/proc"
)

// runner takes several tools through the same operations on one corpus, each operation in turns: a, b, a, b.
type runner struct {
	options
	corpus corpus.Corpus
	info   corpus.Info
	one    string // a file of the corpus, below it
	out    io.Writer
	log    io.Writer
	start  string
	tools  []*contestant
}

// contestant is a tool and its repository.
type contestant struct {
	tool
	name string
	places
	size int64 // of the repository
	gone bool  // an operation failed: nothing that follows would tell anything
}

// repeat is how often an operation is measured: the short ones more often.
func (r *runner) repeat(op string) int {
	switch op {
	case again, list, one:
		return r.short
	case day2:
		return 1 // the second day comes once
	}
	return r.long
}

func (r *runner) run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, r.corpus.Undo()) }()
	if err := r.setUp(ctx); err != nil {
		return err
	}
	if !r.keep {
		defer func() { err = errors.Join(err, os.RemoveAll(r.work)) }()
	}
	for _, op := range operations {
		if !slices.Contains(r.ops, op) {
			continue
		}
		if op == day2 {
			if err := r.corpus.Mutate(); err != nil {
				return err
			}
		}
		for range r.repeat(op) {
			if err := r.turn(ctx, op, false); err != nil {
				return err
			}
		}
		if r.strace && (op == again || op == restore) {
			if err := r.turn(ctx, op, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// setUp makes the corpus if it is missing, brings it into the cache, and notes what is measured on what.
func (r *runner) setUp(ctx context.Context) error {
	if err := r.corpus.Undo(); err != nil {
		return err
	}
	if !r.corpus.Exists() {
		fmt.Fprintf(r.log, "making %s\n", r.corpus.Dir())
		if err := r.corpus.Make(); err != nil {
			return err
		}
	}
	var err error
	if r.info, err = r.corpus.Count(); err != nil {
		return err
	}
	if r.one, err = r.warm(); err != nil {
		return err
	}
	if err := os.RemoveAll(r.work); err != nil {
		return err
	}
	head := result{Machine: proc.Machine(), Files: r.info.Files, Scale: r.corpus.Scale}
	if err := r.write(head); err != nil {
		return err
	}
	for _, c := range r.tools {
		base := filepath.Join(r.work, c.name)
		c.places = places{
			src: r.corpus.Dir(), repo: filepath.Join(base, "repo"), work: filepath.Join(base, "work"),
			dst: filepath.Join(base, "restored"), one: r.one,
		}
		version := "unknown"
		if c.version != "" {
			out, err := exec.CommandContext(ctx, c.commands(c.version, r.bin)[0][0], strings.Fields(c.version)[1:]...).CombinedOutput()
			if err != nil {
				return fmt.Errorf("ask %s for its version: %w", c.name, err)
			}
			version, _, _ = strings.Cut(strings.TrimSpace(string(out)), "\n")
		}
		if err := errors.Join(os.MkdirAll(c.work, 0o700), r.write(result{Tool: c.name, Version: version})); err != nil {
			return err
		}
	}
	return nil
}

// warm reads the corpus once, so that every tool finds it in the cache, and picks the file in its middle.
func (r *runner) warm() (middle string, err error) {
	var n int64
	err = filepath.WalkDir(r.corpus.Dir(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if n++; middle == "" || n <= r.info.Files/2 {
			middle = path
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, f)
		return errors.Join(err, f.Close())
	})
	if err != nil {
		return "", err
	}
	return filepath.Rel(r.corpus.Dir(), middle)
}

// turn measures an operation once with each tool. A tool that fails is out; the others go on.
func (r *runner) turn(ctx context.Context, op string, traced bool) error {
	for _, c := range r.tools {
		if c.ops[op] == "" || c.gone {
			continue
		}
		res, err := r.measure(ctx, c, op, traced)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			c.gone = true
			res.Err = err.Error()
		}
		if err := r.write(res); err != nil {
			return err
		}
		cost := fmt.Sprintf("%8.2f CPU s %8.2f wall s %6d MiB anon", res.CPU(), res.Wall, res.Anon>>20)
		if traced {
			cost = fmt.Sprintf("%d system calls", res.Calls)
		}
		fmt.Fprintf(r.log, "%-5s %-8s %-10s %s  %s\n", r.corpus.Name, op, c.name, cost, res.Err)
	}
	return nil
}

// measure runs one operation of one tool.
//
//nolint:gocyclo // one sequence of steps, each with its error
func (r *runner) measure(ctx context.Context, c *contestant, op string, traced bool) (res result, err error) {
	res = result{Tool: c.name, Op: op, Files: r.info.Files}
	if op == first {
		c.n, c.size = 0, 0
		if err := errors.Join(os.RemoveAll(filepath.Join(r.work, c.name)), os.MkdirAll(c.work, 0o700)); err != nil {
			return res, err
		}
	}
	dir := c.work
	if op == restore || op == one {
		bytes, files := r.info.Bytes, r.info.Files
		if op == one {
			bytes, files = 0, 0
		}
		t, err := newTarget(ctx, c.dst, bytes, files)
		if err != nil {
			return res, err
		}
		defer func() { err = errors.Join(err, t.close()) }()
		dir, res.Loop = c.dst, t.loop
		if err := c.ask(ctx, r.bin); err != nil {
			return res, err
		}
	}
	c.n++
	if op != list && op != one {
		_ = exec.CommandContext(ctx, "sync").Run() // what others wrote is not to be paid by this one; a courtesy only
	}
	unlock, err := lock(r.lock)
	if err != nil {
		return res, err
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(ctx, r.limit)
	defer cancel()
	for _, args := range c.commands(c.ops[op], r.bin) {
		if traced {
			n, err := count(ctx, args, dir, c.environment(), filepath.Join(c.work, "calls"))
			res.Calls += n
			if err != nil {
				return res, err
			}
			continue
		}
		u, err := proc.Run(ctx, proc.Command{Args: args, Dir: dir, Env: c.environment()})
		res.Usage = res.Then(u)
		if err != nil {
			return res, err
		}
	}
	if op == first || op == day2 {
		res.Stored, err = r.stored(c)
		res.Added, c.size = res.Stored-c.size, res.Stored
	}
	return res, err
}

func (c *contestant) environment() (env []string) {
	for _, e := range c.env {
		env = append(env, c.fill(e))
	}
	return env
}

// ask learns what the tool calls its last snapshot.
func (c *contestant) ask(ctx context.Context, bin string) error {
	if c.readID == nil {
		return nil
	}
	var out bytes.Buffer
	_, err := proc.Run(ctx, proc.Command{Args: c.commands(c.tool.id, bin)[0], Dir: c.work, Env: c.environment(), Stdout: &out})
	c.places.id = c.readID(out.Bytes())
	if err == nil && c.places.id == "" {
		err = fmt.Errorf("%s names no snapshot", c.name)
	}
	return err
}

// stored adds up the files of a repository: a folder, or one file with an ending.
func (r *runner) stored(c *contestant) (n int64, err error) {
	all, err := filepath.Glob(c.repo + "*")
	if err != nil {
		return 0, err
	}
	for _, path := range all {
		used, uerr := disk.Used(path)
		n, err = n+used, errors.Join(err, uerr)
	}
	return n, err
}

func (r *runner) write(res result) error {
	res.Sitting, res.Corpus, res.Time = r.start, r.corpus.Name, time.Now().UTC()
	return json.NewEncoder(r.out).Encode(res)
}
