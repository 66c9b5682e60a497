package main

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/poolkeeper/poolkeeper"
)

// cli makes a row of a command line.
func cli(code, names string, args ...string) refusal {
	return refusal{args: args, code: code, names: names}
}

func (r refusal) reads(stdin string) refusal {
	r.stdin = stdin
	return r
}

func (r refusal) with(name, value string) refusal {
	r.env = map[string]string{name: value}
	return r
}

// commandRows are the rows of the command line.
func (b *refuser) commandRows() []refusal {
	return slices.Concat(usageRows(), b.inputRows(), b.unknownRows(), b.storeRows(), b.settingRows(), b.directoryRows(), b.serveRows())
}

// usageRows: commands that cannot be what they should be.
func usageRows() []refusal {
	rows := []refusal{
		cli("invalid", "frobnicate", "frobnicate"),
		cli("invalid", "provder", "provder", "list"),
		cli("invalid", "frob", "provider", "frob"),
		cli("invalid", "--frob", "status", "--frob"),
		cli("invalid", "--log-level", "status", "--log-level"),
		cli("invalid", "-n", "usage", kiro, kiroID, "-n", "many"),
		cli("invalid", "n is 0", "usage", kiro, kiroID, "-n", "0"),
		cli("invalid", "n is -5", "usage", kiro, kiroID, "-n", "-5"),
		cli("invalid", "1000000000001", "usage", kiro, kiroID, "-n", "1000000000001"),
		cli("invalid", "n is -1", "success", kiro, kiroID, "-n", "-1"),
		cli("too-large", "65537", "success", kiro, kiroID, "--model", strings.Repeat("m", 65537)),
		cli("too-large", "65537", "error", kiro, kiroID, "--message", strings.Repeat("m", 65537)),
		cli("invalid", "UTF-8", "error", kiro, kiroID, "--message", "\xff"),
		cli("invalid", "UTF-8", "config", "set", "A=\xff"),
		cli("invalid", "UTF-8", "provider", "set", kiro, kiroID, "a=\"\xff\""),
		cli("invalid", "--recover-at", "error", kiro, kiroID, "--recover-at", "yesterday"),
		cli("invalid", "--recover-at", "error", kiro, kiroID, "--recover-at", ""),
		cli("invalid", "--output-dir", "export"),
		cli("invalid", "--duration", "bench", "--duration", "0s"),
		cli("invalid", "--providers", "bench", "--providers", "0"),
		cli("invalid", "--callers", "bench", "--callers", "1,x"),
		cli("invalid", "--state-dir", "journal", "list", "--state-dir="),
		cli("not-found", "no-such-state", "journal", "list", "--state-dir", "no-such-state"),
		cli("not-found", "no-such-state", "journal", "repair", "--state-dir", "no-such-state"),
	}
	for _, group := range []string{"provider", "token", "config", "doc", "password", "journal"} {
		rows = append(rows, cli("invalid", group+": a command is missing", group))
	}
	for command, names := range map[string]string{
		"provider get": "TYPE ID", "provider add": "TYPE", "provider set x": "ID", "provider disable": "TYPE ID", "provider rename x y": "NEWID",
		"token get x": "ID", "token set": "TYPE ID", "doc get": "NAME", "doc set": "NAME", "usage x": "ID", "error": "TYPE ID",
	} {
		rows = append(rows, cli("invalid", names+" is missing", strings.Fields(command)...))
	}
	for _, command := range []string{
		"status", "init", "journal list", "journal repair", "import", "export", "serve", "version", "password set", "provider get x y", "config get x", "doc get x y", "usage x y", "provider rename x y z",
	} {
		rows = append(rows, cli("invalid", "too many arguments", append(strings.Fields(command), planted)...))
	}
	return rows
}

// inputRows: input of the commands that write.
func (b *refuser) inputRows() []refusal {
	var table [][]refusal
	var latin []refusal
	no, dir := filepath.Join(b.work, "no-such-file"), filepath.Join(b.work, "typical")
	bad := map[string]string{
		"malformed": `{"a": "` + planted + `"`, "two documents": `{} {}`, "a trailing comma": `{"a":1,}`, "nothing": ``, "no JSON": planted,
	}
	for _, command := range [][]string{
		{"config", "set", "--file"}, {"config", "set", "--merge"}, {"config", "set", "--json-patch"}, {"doc", "set", "plugins.json", "--file"},
		{"doc", "set", "plugins.json", "--merge"}, {"doc", "set", "plugins.json", "--json-patch"}, {"provider", "add", kiro, "--file"},
		{"provider", "set", kiro, kiroID, "--merge"}, {"provider", "set", kiro, kiroID, "--json-patch"}, {"token", "set", kiro, kiroID, "--file"},
	} {
		var rows []refusal
		with := func(code, names, file, stdin string) {
			rows = append(rows, cli(code, names, append(slices.Clone(command), file)...).reads(stdin))
		}
		for _, name := range []string{"malformed", "two documents", "a trailing comma", "nothing", "no JSON"} {
			with("invalid", "not valid JSON", "-", bad[name])
		}
		switch flag := command[len(command)-1]; {
		case flag == "--json-patch":
			with("invalid", "JSON Patch", "-", `{}`)
			with("invalid", "patch does not apply", "-", `[{"op":"test","path":"/no/such","value":"`+planted+`"}]`)
		case command[0] != "doc" || flag != "--file":
			with("invalid", "JSON object", "-", `[]`)
			with("invalid", "JSON object", "-", `"`+planted+`"`)
		}
		with("invalid", "no-such-file", no, "")
		with("invalid", dir, dir, "")
		table = append(table, rows)
		latin = append(latin, cli("invalid", "no UTF-8", append(slices.Clone(command), "-")...).reads("[{\"a\":\"\xff\"}]"))
	}
	large := `{"x":"` + strings.Repeat("x", poolkeeper.MaxDocument) + `"}`
	definition := large[:poolkeeper.MaxDefinition] + `"}`
	return append(append(spread(table), latin...),
		cli("too-large", "standard input", "config", "set", "--file", "-").reads(large),
		cli("too-large", "standard input", "token", "set", kiro, kiroID).reads(large),
		cli("too-large", "standard input", "provider", "add", kiro).reads(definition),
		cli("too-large", "standard input", "password", "set").reads(strings.Repeat("x", 9000)),
		cli("invalid", "12", "password", "set").reads("short\n"),
		cli("invalid", "12", "password", "set").reads(""),
		cli("invalid", "FIELD=VALUE", "config", "set"),
		cli("invalid", "only one of them", "config", "set", "a=1", "--merge", "-"),
		cli("invalid", "only one of them", "provider", "set", kiro, kiroID, "--merge", "-", "--json-patch", "-"),
		cli("invalid", "--file", "config", "set", "a=1", "--file", "-"),
		cli("invalid", "--file", "doc", "set", "plugins.json", "a=1", "--file", "-"),
		cli("invalid", "argument 1", "config", "set", planted),
		cli("invalid", "argument 1", "config", "set", "a"),
		cli("invalid", "argument 2", "doc", "set", "plugins.json", "a=1", "=1"),
		cli("invalid", "value of PROXY", "config", "set", `PROXY={"`+planted),
		cli("invalid", "usageCount", "provider", "set", kiro, kiroID, "usageCount=5"),
		cli("invalid", "isHealthy", "provider", "set", kiro, kiroID, "customName=x", "isHealthy=false"),
		cli("invalid", "uuid", "provider", "set", kiro, kiroID, "uuid=another"),
		cli("invalid", "uuid", "provider", "set", kiro, kiroID, "--merge", "-").reads(`{"uuid":null}`),
		cli("exists", otherID, "provider", "rename", kiro, kiroID, otherID),
		cli("invalid", "new id", "provider", "rename", kiro, kiroID, kiroID),
		cli("invalid", "new id", "provider", "rename", kiro, kiroID, ""),
		cli("invalid", "new id", "provider", "rename", kiro, kiroID, "~derived"),
		cli("exists", kiroID, "provider", "add", kiro).reads(`{"uuid":"`+kiroID+`"}`),
		cli("invalid", "uuid", "provider", "add", kiro).reads(`{"uuid":"~derived"}`),
		cli("invalid", "uuid", "provider", "add", kiro).reads(`{"uuid":["`+planted+`"]}`),
		cli("too-large", "257", "provider", "add", strings.Repeat("t", 257)).reads(`{}`),
		cli("exists", "init", "init"),
		cli("invalid", "reserved", "doc", "set", "pwd", "--file", "-").reads(`{}`),
		cli("invalid", "reserved", "doc", "get", "config"),
		cli("invalid", "control", "doc", "set", "a\nb", "--file", "-").reads(`{}`),
		cli("invalid", "document name", "doc", "set", "", "--file", "-").reads(`{}`),
		cli("invalid", "document name", "doc", "get", strings.Repeat("d", 513)),
	)
}

// unknownRows: things that are not there.
func (b *refuser) unknownRows() []refusal {
	const typ, id = "no-such-type", "no-such-id"
	var rows []refusal
	for _, command := range []string{
		"provider get", "provider enable", "provider disable", "provider reset", "provider rm", "token get", "token rm", "usage", "error", "success",
	} {
		args := strings.Fields(command)
		rows = append(rows, cli("not-found", id, append(slices.Clone(args), kiro, id)...), cli("not-found", typ, append(slices.Clone(args), typ, kiroID)...))
	}
	return append(rows,
		cli("not-found", id, "provider", "set", kiro, id, "a=1"),
		cli("not-found", id, "provider", "rename", kiro, id, "new"),
		cli("not-found", id, "token", "set", kiro, id).reads(`{}`),
		cli("not-found", typ, "token", "set", typ, kiroID).reads(`{}`),
		cli("not-found", typ, "provider", "list", typ),
		cli("not-found", "NO_SUCH", "config", "get", "NO_SUCH"),
		cli("not-found", "no-such.json", "doc", "get", "no-such.json"),
		cli("not-found", "no-such.json", "doc", "set", "no-such.json", "a=1"),
		cli("not-found", "no-such.json", "doc", "rm", "no-such.json"),
		cli("not-found", "noField", "doc", "get", "plugins.json", "noField"),
		cli("invalid", "id is empty", "provider", "get", kiro, ""),
		cli("too-large", "513", "provider", "get", kiro, strings.Repeat("i", 513)),
		cli("too-large", "257", "usage", strings.Repeat("t", 257), "x"),
	)
}
