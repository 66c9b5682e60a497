package main

import (
	"encoding/json"
	"os"
	"strings"
)

// forkCommands are those that build what a fork of the gateway leaves in Redis,
// under a prefix.
func forkCommands(prefix string) (cmds [][]string, err error) {
	data, err := os.ReadFile("../../testdata/fixtures/fork-redis/commands.jsonl")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(data)) {
		var cmd []string
		if err := json.Unmarshal([]byte(line), &cmd); err != nil {
			return nil, err
		}
		cmd[1] = strings.Replace(cmd[1], "aiclient:", prefix, 1)
		cmds = append(cmds, cmd)
	}
	return cmds, nil
}
