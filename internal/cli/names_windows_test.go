package cli

import "testing"

func TestPathsOfWindowsNameWhatTheTreeHas(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		`C:\a\b`: "C:/a/b", `c:/a/`: "C:/a", `C:`: "C:", `C:\`: "C:", `/C:/a`: "C:/a", `a\.\b`: "a/b", ``: "", `\a`: "a",
		`\\server\share\a`: `\\server\share/a`, `//server/share/a`: `\\server\share/a`,
	} {
		if got, err := treePath(s); string(got) != want || err != nil {
			t.Errorf("%s is %q, %v, want %q", s, got, err, want)
		}
	}
	if _, err := treePath(`C:\a\..\b`); err == nil {
		t.Error(`".." was accepted`)
	}
}
