package dirtest

import (
	"fmt"
	"strings"
	"unicode/utf16"
)

// inUTF16 writes a text in UTF-16.
func inUTF16(s string, little, bom bool) string {
	units := utf16.Encode([]rune(s))
	if bom {
		units = append([]uint16{0xFEFF}, units...)
	}
	var b strings.Builder
	for _, u := range units {
		hi, lo := byte(u>>8), byte(u)
		if little {
			hi, lo = lo, hi
		}
		b.WriteByte(hi)
		b.WriteByte(lo)
	}
	return b.String()
}

// documentCases have documents that are not JSON, or not one.
func documentCases() []Case {
	var cases []Case
	for name, enc := range map[string][2]bool{"be": {false, false}, "be-bom": {false, true}, "le": {true, false}, "le-bom": {true, true}} {
		doc := inUTF16(`{"a":[]}`, enc[0], enc[1])
		cases = append(cases,
			refused("utf-16-"+name+"-pools", "invalid", "provider_pools.json", "1:1: the file is in UTF-16", pools(doc)),
			refused("utf-16-"+name+"-config", "invalid", "config.json", "1:1: the file is in UTF-16", one("configs/config.json", doc)),
			taken("utf-16-"+name+"-document", one("configs/plugins.json", doc), "document configs/plugins.json"),
			taken("utf-16-"+name+"-token", token(doc), "token-object configs/kiro/t.json"),
			taken("utf-16-"+name+"-others", dir{files: map[string]string{poolsAt: "{}", "configs/pwd": doc, "configs/input_system_prompt.txt": doc, "configs/kiro/x.json": doc}}),
		)
	}
	for name, v := range map[string]string{
		"nan": "NaN", "infinity": "Infinity", "minus-infinity": "-Infinity", "plus": "+1", "leading-zero": "01", "leading-point": ".5", "trailing-point": "1.",
		"hex": "0x1F", "bigint": "1n", "separator": "1_000", "exponent": "1e", "minus": "-", "undefined": "undefined", "single-quotes": "'x'", "bare-word": "yes",
		"line-end": "\"a\nb\"", "control": "\"a\x01b\"", "escape": `"\x41"`, "half-escape": `"\u12"`, "comma": "[1,]", "hole": "[1,,2]", "python": "True", "comment": "1 /* x */",
		"no-break-space": "\u00a01", "nul": "1\x00",
	} {
		cases = append(cases,
			refused("value-"+name+"-pools", "invalid", "provider_pools.json", "2:", pools("{\"t\":\n[{\"uuid\":\"u\",\"n\":"+v+"}]}")),
			refused("value-"+name+"-config", "invalid", "config.json", "1:", one("configs/config.json", `{"n":`+v+`}`)),
			taken("value-"+name+"-others", dir{files: map[string]string{
				poolsAt: naming("configs/kiro/t.json"), "configs/kiro/t.json": `{"n":` + v + `}`, "configs/plugins.json": `{"n":` + v + `}`,
			}}, "document configs/plugins.json", "token-object configs/kiro/t.json"),
		)
	}
	for name, doc := range map[string]string{"two": `{"a":[]}{"b":[]}`, "two-lines": "{\"a\":[]}\n{\"b\":[]}", "brace": `{"a":[]}}`, "comma": `{"a":[]},`, "word": `{"a":[]} x`, "nul": "{\"a\":[]}\x00", "bom-behind": "{\"a\":[]}\ufeff", "two-boms": "\ufeff\ufeff{}", "no-object": `"{}"`} {
		note := "document configs/plugins.json"
		if name == "two-boms" {
			note = "bom configs/plugins.json"
		}
		cases = append(cases,
			refused("document-"+name+"-pools", "invalid", "provider_pools.json", "invalid JSON at ", pools(doc)),
			refused("document-"+name+"-config", "invalid", "config.json", "invalid JSON at ", one("configs/config.json", doc)),
			taken("document-"+name+"-others", dir{files: map[string]string{
				poolsAt: naming("configs/kiro/t.json"), "configs/kiro/t.json": doc, "configs/plugins.json": doc,
			}}, note, "token-object configs/kiro/t.json"),
		)
	}
	for _, depth := range []int{9_999, 10_000, 10_001, 20_000} {
		nested := func(d int) string { return strings.Repeat(`[`, d) + strings.Repeat(`]`, d) }
		name := fmt.Sprintf("depth-%d", depth)
		p, c := pools(`{"t":[{"x":`+nested(depth-3)+`}]}`), one("configs/config.json", `{"x":`+nested(depth-1)+`}`)
		others := dir{files: map[string]string{
			poolsAt: naming("configs/kiro/t.json"), "configs/kiro/t.json": `{"x":` + nested(depth-1) + `}`, "configs/plugins.json": `{"x":` + nested(depth-1) + `}`,
		}}
		if depth <= 10_000 {
			cases = append(cases, taken(name+"-pools", p, "uuid-unusable "+poolsAt+" t[0].uuid"), taken(name+"-config", c), taken(name+"-others", others))
			continue
		}
		cases = append(cases, refused(name+"-pools", "invalid", "provider_pools.json", "nested too deeply", p), refused(name+"-config", "invalid", "config.json", "nested too deeply", c),
			taken(name+"-others", others, "document configs/plugins.json", "token-object configs/kiro/t.json"))
	}
	return cases
}

// twiceCases have keys that stand twice.
func twiceCases() []Case {
	const key = "duplicate-key "
	return []Case{
		taken("twice-type", pools(`{"t":[{"uuid":"1"}],"u":[],"t":[{"uuid":"2"}]}`), "duplicate-type "+poolsAt+" /t"),
		taken("twice-type-escaped", pools(`{"t":[],"\u0074":[{"uuid":"2"}]}`), "duplicate-type "+poolsAt+" /t"),
		taken("twice-type-thrice", pools(`{"t":[],"t":[],"t":[]}`), "duplicate-type "+poolsAt+" /t", "duplicate-type "+poolsAt+" /t"),
		refused("twice-type-broken-first", "invalid", "provider_pools.json", "/t is null", pools(`{"t":null,"t":[]}`)),
		taken("twice-in-definition", pools(`{"t":[{"uuid":"1","a":1,"a":1}]}`), key+poolsAt+" t[0]"),
		taken("twice-in-definition-escaped", pools(`{"t":[{"uuid":"1","a":1,"\u0061":2}]}`), key+poolsAt+" t[0]"),
		taken("twice-in-definition-deep", pools(`{"t":[{"uuid":"1","a":[{"b":{"c":1,"c":2}}],"d":{"c":1}}]}`), key+poolsAt+" t[0].a"),
		taken("twice-uuid", pools(`{"t":[{"uuid":"1","uuid":"2"},{"uuid":"1"}]}`), key+poolsAt+" t[0]"),
		taken("twice-uuid-last-bad", pools(`{"t":[{"uuid":"1","uuid":null}]}`), key+poolsAt+" t[0]", "uuid-unusable "+poolsAt+" t[0].uuid"),
		taken("twice-counter", pools(`{"t":[{"uuid":"1","usageCount":"x","usageCount":2}]}`), key+poolsAt+" t[0]", "counter "+poolsAt+" t[0].usageCount"),
		taken("twice-token-path", dir{files: map[string]string{
			poolsAt: `{"t":[{"uuid":"1","A_TOKEN_FILE_PATH":"configs/none","A_TOKEN_FILE_PATH":"configs/there"}]}`, "configs/there": "{}",
		}}, key+poolsAt+" t[0]"),
		taken("twice-in-config", one("configs/config.json", `{"a":1,"a":2,"redis":{"host":"a","db":1,"host":"b"}}`), key+"configs/config.json", key+"configs/config.json /redis"),
		taken("twice-in-document", one("configs/plugins.json", `{"plugins":{"a":{"x":1,"x":2}}}`), key+"configs/plugins.json"),
		taken("twice-in-token", token(`{"accessToken":"1","accessToken":"2"}`), key+"configs/kiro/t.json"),
		taken("twice-tokens", one("configs/token-store.json", `{"tokens":{"a":{}},"tokens":{"b":{}}}`), key+"configs/token-store.json"),
		taken("twice-bearer", one("configs/token-store.json", `{"tokens":{"a":{"expiryTime":1},"a":{"username":"x"}}}`), key+"configs/token-store.json"),
		taken("twice-not-at-all", pools(`{"t":[{"uuid":"1","A":1,"a":2,"ä":1,"a\u0308":1,"":1," ":1}],"T":[]}`)),
	}
}

// oddCases have values that are not what the gateway expects.
func oddCases() []Case {
	var cases []Case
	for i, v := range []string{`"yesterday"`, `"2026-13-01T00:00:00Z"`, `[]`, `{}`, `true`, `false`, `1e400`, `" "`, `"x2026"`} {
		cases = append(cases, taken(fmt.Sprintf("time-none-%d", i), pools(`{"t":[{"uuid":"1","lastUsed":`+v+`,"scheduledRecoveryTime":`+v+`,"lastRefreshTime":`+v+`}]}`),
			"time "+poolsAt+" t[0].lastUsed", "time "+poolsAt+" t[0].scheduledRecoveryTime", "time "+poolsAt+" t[0].lastRefreshTime"))
	}
	cases = append(cases,
		taken("time-some", pools(`{"t":[{"uuid":"1","lastUsed":null,"lastErrorTime":"","lastHealthCheckTime":"2026-05-29T22:10:00.000Z","lastRefreshTime":1780050000000,"scheduledRecoveryTime":"2026-05-29T22:10:00+02:00"}]}`)),
		taken("token-times", token(`{"accessToken":"x","refreshToken":"y","expiresAt":"soon","expiry_date":[]}`)),
		taken("session-times", one("configs/token-store.json", `{"tokens":{"a":{"expiryTime":"soon"},"b":{"expiryTime":{}},"c":7}}`), "session configs/token-store.json /tokens"),
		taken("numbers", dir{files: map[string]string{
			poolsAt:               `{"t":[{"uuid":"1","a":` + strings.Repeat("9", 400) + `,"b":1e999999,"c":-0,"d":1.0,"e":1E+2,"f":5e-324,"usageCount":9223372036854775807}]}`,
			"configs/config.json": `{"a":` + strings.Repeat("9", 4000) + `.` + strings.Repeat("9", 4000) + `,"b":-1E-999999}`,
		}}),
		taken("counter-huge", pools(`{"t":[{"uuid":"1","usageCount":9223372036854775808,"errorCount":1e400,"refreshCount":`+strings.Repeat("9", 400)+`}]}`),
			"counter "+poolsAt+" t[0].usageCount", "counter "+poolsAt+" t[0].errorCount", "counter "+poolsAt+" t[0].refreshCount"),
		taken("utf8-value", pools("{\"t\":[{\"uuid\":\"1\",\"note\":\"a\xffb\"},{\"uuid\":\"2\"}]}"), "utf8 "+poolsAt+" t[0]"),
		taken("utf8-key", pools("{\"t\":[{\"uuid\":\"1\",\"a\xc3\":1,\"a\xc3\":2}]}"), "utf8 "+poolsAt+" t[0]", "duplicate-key "+poolsAt+" t[0]"),
		taken("utf8-uuid", pools("{\"t\":[{\"uuid\":\"\xff\"}]}"), "utf8 "+poolsAt+" t[0]", "uuid-unusable "+poolsAt+" t[0].uuid"),
		taken("utf8-path", pools("{\"t\":[{\"uuid\":\"1\",\"A_TOKEN_FILE_PATH\":\"configs/\xff\"}]}"), "utf8 "+poolsAt+" t[0]", "token-path "+poolsAt+" t[0].A_TOKEN_FILE_PATH"),
		refused("utf8-type", "invalid", "provider_pools.json", "provider type 2", pools("{\"a\":[],\"\xff\":[]}")),
		refused("utf8-type-surrogate", "invalid", "provider_pools.json", "provider type 1", pools(`{"\udc00":[]}`)),
		taken("utf8-config", one("configs/config.json", "{\"a\xfe\":\"\xff\"}"), "utf8 configs/config.json"),
		taken("utf8-document", one("configs/plugins.json", "{\"a\xfe\":\"\xff\"}"), "utf8 configs/plugins.json"),
		taken("utf8-token", token("{\"accessToken\":\"\xff\"}"), "utf8 configs/kiro/t.json"),
		taken("utf8-bearer", one("configs/token-store.json", "{\"tokens\":{\"\xff\":{}}}"), "utf8 configs/token-store.json", "session configs/token-store.json /tokens"),
		taken("surrogates", dir{files: map[string]string{poolsAt: `{"t":[{"uuid":"1","a\ud800":"\udc00\ud800","b":"\ud83d\ude00"}]}`, "configs/config.json": `{"\ud800":"\ud800"}`}}),
		taken("bom-document", one("configs/plugins.json", "\ufeff{}"), "bom configs/plugins.json"),
		taken("bom-crlf", pools("\ufeff{\r\n\"t\" : [ {\"uuid\":\"1\"} ]\r\n}\r\n"), "bom "+poolsAt),
		refused("bom-alone", "invalid", "provider_pools.json", "the file is empty", pools("\ufeff")),
		refused("blank-pools", "invalid", "provider_pools.json", "the file is empty", pools(" \r\n\t")),
		refused("blank-config", "invalid", "config.json", "the file is empty", one("configs/config.json", "\n")),
		refused("empty-pools", "invalid", "provider_pools.json", "the file is empty", pools("")),
		taken("empty-others", dir{files: map[string]string{
			poolsAt: naming("configs/kiro/t.json", "beside.json"), "configs/pwd": "", "configs/plugins.json": "", "configs/token-store.json": "", "configs/kiro/t.json": "", "beside.json": "",
			"configs/input_system_prompt.txt": "", "configs/kiro/x": "",
		}}, "document configs/plugins.json", "document configs/token-store.json", "token-object configs/kiro/t.json", "token-object beside.json"),
		taken("empty-directory", dir{}),
		taken("shapes", dir{files: map[string]string{
			poolsAt: "{}", "configs/custom_models.json": "{}", "configs/market.json": "null", "configs/usage-cache.json": "[]", "configs/api-potluck-keys.json": "1",
			"configs/api-potluck-data.json": `""`, "configs/model-usage-stats.json": "true", "configs/token-store.json": `{"tokens":[]}`,
		}}, "document configs/custom_models.json", "document configs/market.json", "document configs/usage-cache.json", "document configs/api-potluck-keys.json",
			"document configs/api-potluck-data.json", "document configs/model-usage-stats.json", "document configs/token-store.json /tokens"),
	)
	for name, v := range map[string]string{"number": "1", "string": `"x"`, "true": "true", "array": "[]", "null": "null"} {
		if name != "array" {
			cases = append(cases, refused("pool-"+name, "invalid", "provider_pools.json", "/a~1b is ", pools(`{"t":[],"a/b":`+v+`}`)))
		}
		cases = append(cases, refused("provider-"+name, "invalid", "provider_pools.json", "/t/1 is ", pools(`{"t":[{"uuid":"1"},`+v+`]}`)))
	}
	return cases
}
