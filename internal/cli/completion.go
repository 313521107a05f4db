package cli

import (
	"bytes"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/nacre-backup/nacre/internal/errs"
)

// choices lets shells complete the values of a flag.
func choices(cmd *cobra.Command, flag string, values ...string) {
	if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(fmt.Sprintf("cli: values of --%s: %v", flag, err))
	}
}

func (a *app) completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "completion SHELL",
		Short:   "Print a completion script for bash, zsh, fish or powershell",
		GroupID: groupOther,
		Long: `Print the script that lets a shell complete nacre's commands and flags, and
snapshots, names, tags and hosts where the repository opens without a question.

  bash:        source <(nacre completion bash)
  zsh:         nacre completion zsh > "${fpath[1]}/_nacre"
  fish:        nacre completion fish > ~/.config/fish/completions/nacre.fish
  powershell:  nacre completion powershell | Out-String | Invoke-Expression`,
		Example:   example("nacre completion bash", "nacre completion fish"),
		Args:      exactly(1, "the shell"),
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		RunE: func(cmd *cobra.Command, args []string) error {
			var b bytes.Buffer
			var err error
			root := cmd.Root()
			switch args[0] {
			case "bash":
				err = root.GenBashCompletionV2(&b, true)
			case "zsh":
				err = root.GenZshCompletion(&b)
			case "fish":
				err = root.GenFishCompletion(&b, true)
			case "powershell":
				err = root.GenPowerShellCompletionWithDesc(&b)
			default:
				return errs.New(errs.Usage, "shell %q: want bash, zsh, fish or powershell", args[0])
			}
			if err != nil {
				return fmt.Errorf("make the completion script: %w", err)
			}
			if a.out.json {
				a.out.emit("summary", struct {
					Shell  string `json:"shell"`
					Script string `json:"script"`
				}{args[0], b.String()})
				return nil
			}
			a.out.write(b.Bytes())
			return nil
		},
	}
}
