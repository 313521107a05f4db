package files

import (
	"errors"
	"testing"

	"github.com/nacre-backup/nacre/internal/errs"
)

func TestNamesThatWindowsTakesForOthersAreRefused(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		`a\b`, "c:", "a:b", "a*", "a?", `a"`, "a<", "a>", "a|", "a\n", "a.", "a ", "CON", "con", "con.txt", "NUL .x", "Com1",
		"LPT9.tar.gz", "COM¹", "CONIN$", "aux", "PRN",
	} {
		if err := windowsName([]byte(bad)); !errors.Is(err, errs.Unsupported) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, good := range []string{"a", ".a", "a.b", "COM", "COM10", "console", "é", "a b", "nul1", "LPT"} {
		if err := windowsName([]byte(good)); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
}

func TestVolumesBecomeFolders(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"C:": "C", "c:/a/b:": "c/a/b:", `\\server\share`: "server-share", `\\server\share/a`: "server-share/a", "a/C:": "a/C:",
		"": "", "ab:": "ab:", "home/u": "home/u",
	} {
		if got := string(withoutVolume([]byte(path))); got != want {
			t.Errorf("%s becomes %s, want %s", path, got, want)
		}
	}
}

func TestOverwriteRulesHaveNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]Overwrite{"never": Never, "if-changed": IfChanged, "always": Always} {
		if got, err := ParseOverwrite(name); got != want || err != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := ParseOverwrite("sometimes"); err == nil {
		t.Error("an unknown rule was accepted")
	}
}
