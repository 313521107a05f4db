package cli

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Version is the version of the program; a release sets it.
var Version = "0.1.0-dev"

// build tells how the program was built.
type build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	System   string `json:"system"`
	Format   int    `json:"repository_format"`
}

func buildInfo() build {
	b := build{Version: Version, Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH, Format: 1}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// programName is what records say of the program that wrote them.
func programName() string { return "nacre " + Version }

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		GroupID: groupOther,
		Long:    "Print the version, the commit and the system that the program was built for.",
		Example: example("nacre version", "nacre version --json"),
		Args:    exactly(0, ""),
		RunE:    func(*cobra.Command, []string) error { return a.showVersion() },
	}
}

func (a *app) showVersion() error {
	b := buildInfo()
	if a.out.json {
		a.out.emit("summary", b)
		return nil
	}
	a.out.printf("nacre %s", b.Version)
	if b.Commit != "" {
		a.out.printf(" (commit %.12s%s)", b.Commit, map[bool]string{true: ", modified", false: ""}[b.Modified])
	}
	a.out.printf("\nrepository format %d, %s, %s\n", b.Format, b.System, b.Go)
	return nil
}
