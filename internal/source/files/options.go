package files

import (
	"io"

	"github.com/nacre-backup/nacre/internal/errs"
)

// Follow says which symbolic links are replaced by what they point to.
type Follow uint8

// The rules for symbolic links.
const (
	FollowRoots Follow = iota // a root that is a link is followed, every other link is stored as a link
	FollowNever               // a root that is a link is stored as a link, too
	FollowAll                 // every link is followed; one that leads nowhere is stored as a link
)

// ParseFollow reads "never", "roots" or "all".
func ParseFollow(s string) (Follow, error) {
	switch s {
	case "roots", "":
		return FollowRoots, nil
	case "never":
		return FollowNever, nil
	case "all":
		return FollowAll, nil
	}
	return 0, errs.New(errs.Usage, "follow symlinks %q: must be never, roots or all", s)
}

// Options say what to read and how. The zero value of each field is its default.
type Options struct {
	// Roots are the files and directories to read. They stand in the snapshot as absolute paths. A root below
	// another one is part of it, and is then never excluded.
	Roots []string
	// FilesFrom are files with one more root on each line; empty lines and lines that begin with '#' are left out.
	FilesFrom []string
	// FilesFrom0 are files with more roots, each ended by a NUL byte.
	FilesFrom0 []string
	// Stdin is what the name "-" in FilesFrom and FilesFrom0 stands for.
	Stdin io.Reader
	// WorkDir is where relative roots begin; the default is the working directory of the process.
	WorkDir string

	Filter

	FollowSymlinks Follow
	// ReadHoles makes NextData report holes as data.
	ReadHoles bool
	// AlwaysSkip are absolute paths that are left out wherever they are met, by device and inode: the repository and
	// the caches. Those that do not exist are compared by path.
	AlwaysSkip []string
	// TempDir takes the sorted runs of a directory of more than a million names; the default is the system's
	// directory for temporary files. Nothing is left in it, even after a crash, where the system allows that.
	TempDir string
	// Walkers is the number of goroutines that work ahead of the emission; the default is one less than the number
	// of processors, from 1 to 8. A negative number means none.
	Walkers int
}

// Filter says what is left out. A directory that is left out is left out with everything below it.
type Filter struct {
	// Exclude and IExclude are patterns as in package pattern (pattern.Excludes); IExclude ignores case. Of the
	// patterns that match an entry the last one decides; one that begins with '!' keeps it.
	Exclude, IExclude []string
	// ExcludeFile are files with such patterns, one on each line.
	ExcludeFile []string
	// ExcludeIfPresent are names, "NAME" or "NAME:HEADER": of a directory that holds a file of this name (that
	// begins with HEADER) only this file is kept.
	ExcludeIfPresent []string
	// ExcludeCaches is ExcludeIfPresent for CACHEDIR.TAG with its signature.
	ExcludeCaches bool
	// ExcludeLargerThan leaves out regular files of more bytes; 0 leaves out none.
	ExcludeLargerThan int64
	// ExcludeVCS leaves out the files of version control systems that GNU tar's option of this name leaves out.
	ExcludeVCS bool
	// OneFileSystem keeps the walk on the file systems of the roots. A mount point is kept, what is mounted there is not.
	OneFileSystem bool
	// Gitignore honours .gitignore and .nacreignore files at and below the roots.
	Gitignore bool
}

// Validate reports what is wrong with the options, as an error of kind errs.Usage.
func (o *Options) Validate() error {
	if len(o.Roots)+len(o.FilesFrom)+len(o.FilesFrom0) == 0 {
		return errs.WithHint(errs.New(errs.Usage, "no files or directories to read"), "name at least one path")
	}
	for _, r := range o.Roots {
		if r == "" {
			return errs.New(errs.Usage, "an empty path is no file or directory")
		}
	}
	if o.FollowSymlinks > FollowAll {
		return errs.New(errs.Usage, "follow symlinks: unknown rule %d", o.FollowSymlinks)
	}
	if o.ExcludeLargerThan < 0 {
		return errs.New(errs.Usage, "exclude larger than %d bytes: must not be negative", o.ExcludeLargerThan)
	}
	return o.Filter.validate()
}
