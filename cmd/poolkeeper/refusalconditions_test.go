package main

import "strings"

// conditionRows: what the condition of a request does not allow.
func conditionRows() []refusal {
	var rows []refusal
	var table [][]refusal
	for _, e := range endpoints {
		if e.method == "GET" {
			continue
		}
		conditional := !strings.HasPrefix(e.path, kiroPath+"/") && e.method != "POST" && e.path != api+"/pools?order=true" && e.path != api+"/password" || strings.HasSuffix(e.path, "/rename")
		if !conditional {
			r := e.row("invalid", "If-Match")
			r.header["If-Match"] = `"0123456789abcdef0123456789abcdef"`
			rows = append(rows, r)
			continue
		}
		var faults []refusal
		// The last word of the path, but for what is done to it.
		thing := strings.TrimSuffix(strings.TrimSuffix(e.path, "?order=true"), "/rename")
		thing = thing[strings.LastIndex(thing, "/")+1:]
		for _, c := range []struct{ name, value, code, names string }{
			{"If-Match", `"0123456789abcdef0123456789abcdef"`, "conflict", thing},
			{"If-Match", `W/"0123456789abcdef0123456789abcdef"`, "conflict", "If-Match"},
			{"If-Match", `0123456789abcdef`, "invalid", "If-Match"},
			{"If-None-Match", `*`, "conflict", thing},
			{"If-None-Match", `"0123456789abcdef"`, "invalid", "If-None-Match"},
		} {
			r := e.row(c.code, c.names)
			r.header[c.name] = c.value
			faults = append(faults, r)
		}
		table = append(table, faults)
	}
	absent := do("PUT", api+"/documents/no-such.json", `{}`, "conflict", "no-such.json")
	absent.header["If-Match"] = "*"
	return append(append(rows, spread(table)...), absent)
}
