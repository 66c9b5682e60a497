package main

import (
	"github.com/poolkeeper/poolkeeper"
	"github.com/spf13/cobra"
)

var shells = []string{"bash", "zsh", "fish", "powershell"}

func (a *app) completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print what completes commands in a shell",
		Long: `Prints the script by which a shell completes commands, flags, and what is in the
store: types, ids, names of documents and of fields; never a value. SHELL is bash,
zsh, fish or powershell. That of bash needs the package bash-completion.

What is in the store is asked from the running service, else from the store itself,
for two seconds at most.`,
		Example: `  source <(poolkeeper completion bash)
  poolkeeper completion bash > /etc/bash_completion.d/poolkeeper
  poolkeeper completion zsh > /usr/local/share/zsh/site-functions/_poolkeeper
  poolkeeper completion fish > ~/.config/fish/completions/poolkeeper.fish
  poolkeeper completion powershell | Out-String | Invoke-Expression`,
		Args: need("SHELL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.out, true)
			case "zsh":
				return root.GenZshCompletion(a.out)
			case "fish":
				return root.GenFishCompletion(a.out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(a.out)
			}
			return poolkeeper.Errorf(poolkeeper.ErrInvalid, "there is no completion for %q", args[0]).
				WithHint("it is bash, zsh, fish or powershell")
		},
	}
}
