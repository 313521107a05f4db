package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
)

// target is an empty folder to restore into. A file system remembers what was deleted a moment ago, and pays for it; so
// each restore gets a new one where the machine allows that: an ext4 in a file, mounted by loop.
type target struct {
	dir, image string
	loop       bool
}

// newTarget makes a target for so many bytes in so many files.
func newTarget(ctx context.Context, dir string, bytes, files int64) (*target, error) {
	t := &target{dir: dir, image: dir + ".ext4"}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if os.Geteuid() != 0 {
		return t, nil
	}
	f, err := os.Create(t.image)
	if err != nil {
		return nil, err
	}
	err = f.Truncate(bytes*5/4 + files*5000 + 256<<20)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, err
	}
	inodes := fmt.Sprint(files*5/4 + 10_000)
	if exec.CommandContext(ctx, "mkfs.ext4", "-q", "-F", "-m", "0", "-N", inodes, t.image).Run() == nil &&
		exec.CommandContext(ctx, "mount", "-o", "loop", t.image, dir).Run() == nil {
		t.loop = true
	}
	return t, nil
}

// close unmounts and deletes.
func (t *target) close() error {
	if t.loop {
		if out, err := exec.Command("umount", t.dir).CombinedOutput(); err != nil {
			return fmt.Errorf("unmount %s: %w: %s", t.dir, err, out)
		}
	}
	_ = os.Remove(t.image) // there is none if nothing was mounted
	return os.RemoveAll(t.dir)
}
