package lint

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/nacre-backup/nacre/"

// floors gives each room its storey; a room stands under the longest prefix that fits. An import goes to a lower
// storey, or to a room of the same storey that inside allows.
var floors = map[string]int{
	"cmd": 8, "internal/cli": 8,
	"nacre": 6, "internal/connect": 6,
	"internal/backup": 5, "internal/restore": 5, "internal/mirror": 5, "internal/transfer": 5, "internal/prune": 5,
	"internal/check": 5, "internal/repair": 5,
	"internal/view": 4, "internal/blob": 4, "internal/index": 4, "internal/session": 4, "internal/repo": 4,
	"internal/source": 3, "internal/sink": 3, "internal/store": 3, "internal/notify": 3, "internal/malware": 3,
	"internal/chunk": 2, "internal/codec": 2, "internal/crypt": 2, "internal/segment": 2, "internal/pack": 2,
	"internal/tree": 2, "internal/record": 2, "internal/retain": 2, "internal/plan": 2,
	"internal/id": 1, "internal/errs": 1, "internal/event": 1, "internal/clock": 1, "internal/units": 1,
	"internal/attrs": 1, "internal/pattern": 1, "internal/secret": 1, "internal/osfile": 1, "internal/process": 1,
	// Support of tests, and programs beside the product: they may use everything, and no room may use them.
	"internal/testkit": 9, "internal/store/storetest": 9, "internal/source/sourcetest": 9, "internal/sink/sinktest": 9,
	"internal/lint": 9, "test": 9, "tools": 9, "bench": 9,
}

// inside lists the imports allowed within a storey.
var inside = map[string][]string{
	"internal/event":   {"internal/id"},
	"internal/secret":  {"internal/errs"},
	"internal/osfile":  {"internal/errs"},
	"internal/pattern": {"internal/errs"},
	"internal/units":   {"internal/errs"},
	"internal/pack":    {"internal/segment", "internal/codec", "internal/crypt"},
	"internal/segment": {"internal/codec", "internal/crypt"},
	"internal/tree":    {"internal/crypt"},
	"internal/chunk":   {"internal/crypt"},
	"internal/record":  {"internal/crypt"},
	"internal/view":    {"internal/blob", "internal/index", "internal/session", "internal/repo"},
	"internal/blob":    {"internal/index", "internal/session", "internal/repo"},
	"internal/index":   {"internal/session", "internal/repo"},
	"internal/session": {"internal/repo"},
	"internal/repair":  {"internal/check"},
	"internal/plan":    {"internal/retain"},
	"nacre":            {"internal/connect"},
	"cmd":              {"internal/cli"},
}

// concrete are the rooms that only connect may import: it alone knows which stores, sources and sinks there are.
var concrete = []string{"internal/store/local", "internal/source/files", "internal/source/stream", "internal/sink/files"}

type pkg struct {
	ImportPath, Dir string
	Imports         []string
}

// packages lists the packages of the module with what their non-test files import, for each system that matters:
// a file for one system only can break a floor too.
func packages(t *testing.T) map[string]pkg {
	t.Helper()
	all := map[string]pkg{}
	for _, system := range []string{"linux", "windows", "darwin", "freebsd"} {
		cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Imports", "./...")
		cmd.Dir = filepath.Join("..", "..")
		cmd.Env = append(cmd.Environ(), "GOOS="+system, "CGO_ENABLED=0")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go list for %s: %v", system, err)
		}
		for dec := json.NewDecoder(bytes.NewReader(out)); ; {
			var p pkg
			if err := dec.Decode(&p); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("go list for %s: %v", system, err)
			}
			room := strings.TrimPrefix(p.ImportPath, module)
			p.Imports = append(all[room].Imports, p.Imports...)
			all[room] = p
		}
	}
	return all
}

// room returns the entry of floors that path stands under.
func room(path string) string {
	for p := path; p != "." && p != "/"; p = filepath.Dir(p) {
		if _, ok := floors[p]; ok {
			return p
		}
	}
	return ""
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

func TestNoImportGoesUpAFloor(t *testing.T) {
	t.Parallel()
	for path, p := range packages(t) {
		from := room(path)
		if from == "" {
			t.Errorf("%s stands on no floor: give it a place in floors and in ARCHITECTURE.md", path)
			continue
		}
		for _, imp := range p.Imports {
			to := strings.TrimPrefix(imp, module)
			if to == imp {
				continue
			}
			if bad := forbidden(path, from, to); bad != "" {
				t.Errorf("%s imports %s: %s", path, to, bad)
			}
		}
	}
}

// forbidden says why the package path of room from may not import to, or nothing.
func forbidden(path, from, to string) string {
	target := room(to)
	switch {
	case target == "":
		return "it stands on no floor"
	case floors[from] == 9:
		return ""
	case floors[target] > floors[from]:
		return "that is up a floor"
	case contains(concrete, to) && from != "internal/connect" && path != to:
		return "only internal/connect knows the members of a family"
	case from == target:
		// A member may use its family's interface package, and what lies below itself.
		if to == from || strings.HasPrefix(to, path+"/") {
			return ""
		}
		return "members of a family never import each other"
	case floors[target] == floors[from] && !contains(inside[from], target):
		return "that is the same floor, and the pair is not on the list"
	}
	return ""
}
