package attrs_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nacre-backup/nacre/internal/attrs"
	sinkfiles "github.com/nacre-backup/nacre/internal/sink/files"
	sourcefiles "github.com/nacre-backup/nacre/internal/source/files"
)

var update = flag.Bool("update", false, "rewrite the tables in the documents")

// documents are the texts that may hold the table, between two markers. The first one must.
var documents = []string{"README.md"}

const begin, end = "<!-- attributes:begin -->\n", "<!-- attributes:end -->"

func TestTheDocumentedTableIsWhatTheCodeDoes(t *testing.T) {
	t.Parallel()
	table := attrs.Table([]string{"linux", "darwin", "freebsd", "windows"}, sourcefiles.Stored, sinkfiles.Restored)
	for i, name := range documents {
		path := filepath.Join("..", "..", filepath.FromSlash(name))
		text, err := os.ReadFile(path)
		if os.IsNotExist(err) && i > 0 {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		head, rest, ok := bytes.Cut(text, []byte(begin))
		old, tail, ok2 := bytes.Cut(rest, []byte(end))
		if !ok || !ok2 {
			if i == 0 {
				t.Errorf("%s has no table: it stands between %q and %q", name, begin, end)
			}
			continue
		}
		if string(old) == table {
			continue
		}
		if !*update {
			t.Errorf("%s is not what the code does; run this test with -update:\n%s", name, cmp.Diff(table, string(old)))
			continue
		}
		next := bytes.Join([][]byte{head, []byte(begin), []byte(table), []byte(end), tail}, nil)
		if err := os.WriteFile(path, next, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEveryAttributeHasAName(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, a := range attrs.All() {
		if a.String() == "" || seen[a.String()] {
			t.Errorf("attribute %d is named %q", a, a)
		}
		seen[a.String()] = true
	}
}
