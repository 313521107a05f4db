package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nacre-backup/nacre/internal/testkit/program"
)

// mounted mounts a file system of so many bytes in memory at dir, for the time of the test.
func mounted(t *testing.T, dir string, size int64) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	must(t, os.MkdirAll(dir, 0o755))
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0755", size)); err != nil {
		t.Skipf("needs root that may mount: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
}

// remount changes the options of what mounted has mounted.
func remount(t *testing.T, dir string, flags uintptr, size int64) {
	t.Helper()
	must(t, unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT|flags, fmt.Sprintf("size=%d", size)))
}

// TestFullRepositoryLosesNothing fills the repository's disk at many points of a backup.
func TestFullRepositoryLosesNothing(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	const roomy = 400 << 20
	mounted(t, b.path("disk"), roomy)
	b.repo = b.path("disk", "repo")
	b.nacre(t, "init", "--encryption", "key")
	must(t, os.Mkdir(b.path("small"), 0o755))
	scatter(t, b.path("small"), 1, 60, 1, 40_000)
	first := b.backup(t, b.path("small"))
	must(t, os.Mkdir(b.path("src"), 0o755))
	scatter(t, b.path("src"), 2, 300, 1, 60_000)
	put(t, b.path("src", "z"), 3, 80<<20)
	program.Settle() // what is to be resumed must be older than the run, or all of it is read again
	full := 0
	used := func() (n int64) {
		for _, size := range b.objects(t) {
			n += (size + 4095) &^ 4095
		}
		return n
	}
	for _, free := range []int64{16 << 10, 200 << 10, 3 << 20, 20 << 20, 60 << 20} {
		remount(t, b.path("disk"), 0, used()+free)
		b.fails(t, 15, []string{"no space left"}, "backup", "--checkpoint-bytes", "16M", b.path("src"))
		full++
		for o := range b.objects(t, "+tmp") {
			t.Errorf("%d bytes free: the temporary file %s is left", free, o)
		}
		b.restores(t, first.Snapshot.ID, b.path("small"), b.path("small"))
		if got := b.snapshots(t); len(got) != 1 {
			t.Errorf("%d snapshots, want 1", len(got))
		}
	}
	remount(t, b.path("disk"), 0, roomy)
	sum := b.backup(t, b.path("src"))
	b.nothingHalfDone(t)
	b.restores(t, "latest", b.path("src"), b.path("src"))
	v := b.look(t)
	if _, twice := v.blobs(t, v.usable(t)); len(twice) > 0 {
		t.Errorf("%d blobs are stored twice", len(twice))
	}
	if sum.ResumedFrom == "" || sum.Stats.Read > int64(sum.Stats.Bytes)-16<<20 {
		t.Errorf("resumed from %q, %d bytes read again", sum.ResumedFrom, sum.Stats.Read)
	}
	b.nacre(t, "check", "--read-data")
}

// TestFullTargetLeavesNoHalfFile fills the target of a restore.
func TestFullTargetLeavesNoHalfFile(t *testing.T) {
	t.Parallel()
	b := initialised(t)
	src := b.path("src")
	must(t, os.Mkdir(src, 0o755))
	scatter(t, src, 1, 200, 1, 60_000)
	put(t, filepath.Join(src, "d001", "large"), 2, 12<<20)
	b.nacre(t, "backup", src)
	for i, size := range []int64{64 << 10, 1 << 20, 9 << 20} {
		disk := b.path(fmt.Sprint("disk", i))
		mounted(t, disk, size)
		target := filepath.Join(disk, "out")
		b.fails(t, 15, []string{"no space left"}, "restore", "latest:"+src, "--target", target)
		for _, d := range differences(t, src, target) {
			if !strings.HasSuffix(d, "is missing") {
				t.Errorf("%d bytes: %s", size, d)
			}
		}
		remount(t, disk, 0, 64<<20)
		b.nacre(t, "restore", "latest:"+src, "--target", target, "--overwrite", "if-changed")
		for _, d := range differences(t, src, target) {
			t.Errorf("after it went on: %s", d)
		}
	}
}

// TestReadOnlyRepositoryIsReadAndNotWritten uses a repository on a disk that takes no writes.
func TestReadOnlyRepositoryIsReadAndNotWritten(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	const size = 64 << 20
	mounted(t, b.path("disk"), size)
	b.repo = b.path("disk", "repo")
	b.nacre(t, "init", "--encryption", "key")
	src := b.path("src")
	must(t, os.Mkdir(src, 0o755))
	scatter(t, src, 1, 60, 1, 40_000)
	b.nacre(t, "backup", src)
	before := b.objects(t)
	remount(t, b.path("disk"), unix.MS_RDONLY, size)
	b.fails(t, 13, []string{"read-only"}, "backup", src)
	b.restores(t, "latest", src, src)
	b.nacre(t, "check", "--read-data")
	b.nacre(t, "snapshots")
	remount(t, b.path("disk"), 0, size)
	if now := b.objects(t); len(now) != len(before) {
		t.Errorf("%d objects, before %d", len(now), len(before))
	}
	b.nacre(t, "backup", src)
	b.nothingHalfDone(t)
}

// TestVanishingRepositoryLosesNothing takes the repository's folder away in the middle of a backup and brings it back.
func TestVanishingRepositoryLosesNothing(t *testing.T) {
	t.Parallel()
	b := initialised(t)
	must(t, os.Mkdir(b.path("small"), 0o755))
	scatter(t, b.path("small"), 1, 60, 1, 40_000)
	first := b.backup(t, b.path("small"))
	must(t, os.Mkdir(b.path("src"), 0o755))
	put(t, b.path("src", "noise"), 2, 40<<20)
	for i := range 8 {
		words(t, b.path("src", fmt.Sprint("words", i)), uint64(i), 4<<20)
	}
	p := b.start(t, "backup", "--compression", "max", "--checkpoint-bytes", "50M", b.path("src"))
	b.untilPacking(p)
	// Its entries go, as when a disk is pulled out and another one stands in its place.
	must(t, os.Rename(b.repo, b.path("away")))
	must(t, os.Mkdir(b.repo, 0o755))
	r := p.wait(t)
	if r.code == 0 {
		t.Logf("it goes on where its folder is now: %v", r)
	} else if !strings.Contains(r.said(), "hint:") {
		t.Errorf("no hint: %v", r)
	}
	b.fails(t, 10, []string{"no repository"}, "backup", b.path("src"))
	must(t, os.RemoveAll(b.repo))
	b.fails(t, 10, []string{"no repository"}, "snapshots")
	must(t, os.Rename(b.path("away"), b.repo))
	b.restores(t, first.Snapshot.ID, b.path("small"), b.path("small"))
	b.nacre(t, "backup", b.path("src"))
	b.nothingHalfDone(t)
	b.restores(t, "latest", b.path("src"), b.path("src"))
}

// TestObjectsDeletedUnderARunLoseNothingElse deletes the repository's objects while a backup writes.
func TestObjectsDeletedUnderARunLoseNothingElse(t *testing.T) {
	t.Parallel()
	b := initialised(t)
	must(t, os.Mkdir(b.path("src"), 0o755))
	for i := range 8 {
		words(t, b.path("src", fmt.Sprint("words", i)), uint64(i), 4<<20)
	}
	p := b.start(t, "backup", "--compression", "max", "--checkpoint-bytes", "8M", b.path("src"))
	b.untilPacking(p)
	for range 50 { // the run goes on making files
		if os.RemoveAll(b.repo) == nil {
			if _, err := os.Lstat(b.repo); err != nil {
				break
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	r := p.wait(t)
	last := r.err[max(0, strings.LastIndex(r.err, "nacre: ")):] // what the run ended with, after warnings
	if r.code != 14 || !strings.Contains(last, "is gone, or another one has its place") || !strings.Contains(last, "hint:") {
		t.Errorf("a backup into nowhere: %v", r)
	}
}
