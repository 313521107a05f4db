package corpus

import (
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// linuxTar is where Debian's package linux-source-6.1 puts its sources.
const linuxTar = "/usr/src/linux-source-6.1.tar.xz"

func (c Corpus) makeSRC() ([]string, error) {
	if _, err := os.Stat(linuxTar); err != nil || c.Scale != 1 {
		why := "the scale is not 1"
		if err != nil {
			why = "no package linux-source-6.1"
		}
		return []string{"generated text (" + why + ")"}, c.generateText(160_000)
	}
	if out, err := exec.Command("tar", "-xJf", linuxTar, "-C", c.Dir()).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("unpack %s: %w: %s", linuxTar, err, out)
	}
	root, modules, err := goFolders()
	if err != nil {
		return nil, err
	}
	made, err := c.copyTrees([][2]string{
		{"/usr/share", "usr-share"},
		{root, "go"},
		{filepath.Join(modules, "github.com/aws"), "gomod/aws"},
		{filepath.Join(modules, "github.com/!azure"), "gomod/azure"},
		{filepath.Join(modules, "github.com/minio"), "gomod/minio"},
		{filepath.Join(modules, "cloud.google.com"), "gomod/cloud"},
	})
	return append([]string{linuxTar}, made...), err
}

func (c Corpus) makeMID() ([]string, error) {
	if c.Scale != 1 {
		return []string{"generated text (the scale is not 1)"}, c.generateText(24_000)
	}
	root, modules, err := goFolders()
	if err != nil {
		return nil, err
	}
	return c.copyTrees([][2]string{{root, "go"}, {filepath.Join(modules, "github.com/aws"), "aws"}})
}

// goFolders asks the go command for its own tree and its module cache.
func goFolders() (root, modules string, err error) {
	out, err := exec.Command("go", "env", "GOROOT", "GOMODCACHE").Output()
	if err != nil {
		return "", "", fmt.Errorf("ask go for its folders: %w", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != 2 {
		return "", "", fmt.Errorf("go env printed %q", out)
	}
	return lines[0], lines[1], nil
}

// copyTrees copies those of the trees that are there, and names them.
func (c Corpus) copyTrees(trees [][2]string) (made []string, err error) {
	for _, t := range trees {
		if st, err := os.Stat(t[0]); err != nil || !st.IsDir() {
			continue
		}
		if err := copyTree(t[0], filepath.Join(c.Dir(), t[1])); err != nil {
			return made, err
		}
		made = append(made, t[0])
	}
	return made, nil
}

// copyTree copies directories, regular files and symbolic links, with the times of the files. What cannot be read is
// left out. Directories become writable, so that the second day can be made.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return fs.SkipDir
		}
		dst := filepath.Join(to, strings.TrimPrefix(path, from))
		switch {
		case d.IsDir():
			return os.MkdirAll(dst, 0o755)
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return nil // it went away
			}
			return os.Symlink(target, dst)
		case d.Type().IsRegular():
			return copyFile(path, dst)
		}
		return nil
	})
}

func copyFile(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return nil // not for us
	}
	defer func() { _ = src.Close() }() // only read
	st, err := src.Stat()
	if err != nil {
		return err
	}
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, st.Mode().Perm()|0o200)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	if cerr := dst.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return os.Chtimes(to, st.ModTime(), st.ModTime())
}

// generateText makes a tree of n files, scaled, like a source tree: sizes spread log-normally around 5 KiB with a mean
// of 17 KiB, every tenth file a variant of the one before.
func (c Corpus) generateText(n int) error {
	r := seeded(1)
	w := newWords(r, 20_000)
	var last []byte
	dirs := 0
	dir := ""
	for i := range max(200, int(float64(n)*c.Scale)) {
		if i%20 == 0 {
			dir = filepath.Join(c.Dir(), "tree", fmt.Sprintf("area%02d", dirs/100), fmt.Sprintf("part%03d", dirs%100))
			if dirs%5 > 0 {
				dir = filepath.Join(dir, "inner")
			}
			dirs++
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
		}
		size := int(min(5000*math.Exp(1.5*r.NormFloat64()), 4<<20))
		if i%10 > 0 || len(last) == 0 {
			last = w.append(last[:0], r, size, true)
		} else {
			last[r.IntN(len(last))]++
		}
		if err := write(filepath.Join(dir, fmt.Sprintf("file%06d.c", i)), last); err != nil {
			return err
		}
	}
	return nil
}
