package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// calls says where a call of the standard library may stand: whoever needs it elsewhere is handed the thing it makes.
var calls = []struct {
	pkg, name string   // name "" means every use of the package
	rooms     []string // prefixes of the folders where it may stand
}{
	{"time", "Now", []string{"internal/clock", "internal/testkit"}},
	{"time", "Since", []string{"internal/clock", "internal/testkit"}},
	{"time", "Sleep", []string{"internal/clock", "internal/testkit"}},
	{"crypto/rand", "", []string{"internal/clock", "internal/testkit"}},
	{"os", "Getenv", []string{"internal/cli", "internal/testkit"}},
	{"os", "LookupEnv", []string{"internal/cli", "internal/testkit"}},
	{"os", "Exit", []string{"cmd", "internal/testkit"}},
	{"fmt", "Print", []string{"internal/cli", "cmd"}},
	{"fmt", "Printf", []string{"internal/cli", "cmd"}},
	{"fmt", "Println", []string{"internal/cli", "cmd"}},
	{"net", "", []string{"internal/connect"}},
	{"net/http", "", []string{"internal/connect"}},
}

func TestCallsStandInTheirRooms(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if base := d.Name(); rel != "." && (strings.HasPrefix(base, ".") || base == "testdata" || rel == "tools" || rel == "test" || rel == "bench") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(rel, ".go") || strings.HasSuffix(rel, "_test.go") || strings.HasSuffix(filepath.Dir(rel), "test") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, bad := range strayCalls(rel, f) {
			t.Errorf("%s: %s belongs to other rooms; take it as a parameter (clock.Clock, clock.Rand, an option)", rel, bad)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// strayCalls lists what file rel uses though calls keeps it to other rooms.
func strayCalls(rel string, f *ast.File) []string {
	names := map[string]string{} // local name -> import path
	for _, imp := range f.Imports {
		path, err := strconv.Unquote(imp.Path.Value)
		if err != nil {
			continue
		}
		name := path[strings.LastIndex(path, "/")+1:]
		if imp.Name != nil {
			name = imp.Name.Name
		}
		names[name] = path
	}
	var bad []string
	ast.Inspect(f, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := sel.X.(*ast.Ident)
		if !ok {
			return true
		}
		for _, c := range calls {
			if names[x.Name] == c.pkg && (c.name == "" || c.name == sel.Sel.Name) && !under(rel, c.rooms) {
				bad = append(bad, c.pkg+"."+sel.Sel.Name)
			}
		}
		return true
	})
	return bad
}

func under(rel string, rooms []string) bool {
	for _, r := range rooms {
		if strings.HasPrefix(rel, r+"/") {
			return true
		}
	}
	return false
}
