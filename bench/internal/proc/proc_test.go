package proc

import (
	"context"
	"os/exec"
	"strings"
	"testing"
)

func TestRunMeasuresACommandAndTellsWhyItFailed(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("needs sh")
	}
	var out strings.Builder
	u, err := Run(context.Background(), Command{Args: []string{"sh", "-c", `echo "$WORD"`}, Env: []string{"WORD=hello"}, Stdout: &out})
	if err != nil || out.String() != "hello\n" || u.Wall <= 0 {
		t.Errorf("usage %+v, output %q, error %v", u, &out, err)
	}
	_, err = Run(context.Background(), Command{Args: []string{"sh", "-c", "echo because >&2; exit 3"}})
	if err == nil || !strings.Contains(err.Error(), "because") {
		t.Errorf("error %v; want the command's own words", err)
	}
}

func TestUsageOfTwoCommandsAddsTimeAndKeepsTheHigherMemory(t *testing.T) {
	t.Parallel()
	got := Usage{User: 1, Sys: 2, Wall: 3, Peak: 40, Anon: 5}.Then(Usage{User: 1, Sys: 1, Wall: 1, Peak: 10, Anon: 50})
	if want := (Usage{User: 2, Sys: 3, Wall: 4, Peak: 40, Anon: 50}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestKibFindsALineOfStatus(t *testing.T) {
	t.Parallel()
	text := "VmHWM:\t    2048 kB\nRssAnon:\t      12 kB\n"
	if a, b, c := kib(text, "VmHWM:"), kib(text, "RssAnon:"), kib(text, "RssFile:"); a != 2<<20 || b != 12<<10 || c != 0 {
		t.Errorf("got %d, %d, %d", a, b, c)
	}
}
