package e2e

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/nacre-backup/nacre/internal/testkit/program"
)

const kernelArchive = "/usr/src/linux-source-6.1.tar.xz"

// objects are the sizes of a repository's objects.
func (b *box) objects(t *testing.T) map[string]int64 {
	t.Helper()
	all := map[string]int64{}
	must(t, filepath.WalkDir(b.path("repo"), func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(b.path("repo"), p)
		all[rel] = info.Size()
		return err
	}))
	return all
}

// added are the objects that came since before, by their class.
func (b *box) added(t *testing.T, before map[string]int64) (count map[string]int, size int64) {
	t.Helper()
	count = map[string]int{}
	for p, n := range b.objects(t) {
		if _, ok := before[p]; ok {
			continue
		}
		class := filepath.Dir(p)
		for filepath.Dir(class) != "." {
			class = filepath.Dir(class)
		}
		count[class]++
		size += n
	}
	return count, size
}

// TestCorpusKernelTree is run when NACRE_TEST_CORPUS is 1.
func TestCorpusKernelTree(t *testing.T) {
	needsCompare(t)
	needs(t, "xz", "xz-utils")
	if _, err := os.Stat(kernelArchive); err != nil {
		t.Skip("needs linux-source-6.1 (apt)")
	}
	b := newBox(t)
	src := b.path("src")
	must(t, os.Mkdir(src, 0o755))
	tool(t, src, "tar", "xf", kernelArchive)
	program.Settle()
	s := b.backup(t, src)
	if s.Stats.Files < 70_000 || s.Stats.Failed != 0 {
		t.Errorf("summary %+v", s)
	}
	b.nacre(t, "restore", "latest:"+src, "--target", b.path("out"))
	if out := tool(t, "/", "rsync", "-aHAXSnci", "--delete", src+"/", b.path("out")+"/"); out != "" {
		t.Errorf("rsync sees differences:\n%s", clip(out))
	}
	for _, c := range [][]string{{"getfacl", "-R", "-P", "-n", "."}, {"getfattr", "-R", "-P", "-h", "-d", "-m", "-", "."}} {
		if tool(t, src, c[0], c[1:]...) != tool(t, b.path("out"), c[0], c[1:]...) {
			t.Errorf("%s sees differences", c[0])
		}
	}
	must(t, os.RemoveAll(b.path("out")))
	unchanged(t, b, src)
	b.oneChange(t, filepath.Join(src, "linux-source-6.1/kernel/fork.c"))
}

// oneChange rewrites a file in place; the next backup must write little more than the file.
func (b *box) oneChange(t *testing.T, name string) {
	t.Helper()
	content, err := os.ReadFile(name)
	must(t, err)
	content = noise(len(content))
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteAt(content, 0)
	must(t, err)
	must(t, f.Close())
	before := b.objects(t)
	s := b.backup(t, b.path("src"))
	count, size := b.added(t, before)
	t.Logf("one file of %d bytes: %v, %d bytes in all, %d tree pages", len(content), count, size, s.NewTreePages)
	delete(count, "sessions") // its writer may delete it once it has a fate
	if want := map[string]int{"data": 1, "meta": 1, "index": 1, "fates": 1, "dup": 1}; !maps.Equal(count, want) {
		t.Errorf("new objects %v, want %v", count, want)
	}
	if beside := size - int64(len(content)); beside > 64<<10 {
		t.Errorf("%d bytes beside the data", beside)
	}
	if s.Stats.Changed != 1 || s.Stats.New != 0 {
		t.Errorf("summary %+v", s)
	}
}
