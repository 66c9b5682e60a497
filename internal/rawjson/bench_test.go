package rawjson

import "testing"

// benchDefinition is a definition of about 600 bytes, as the gateway writes it.
var benchDefinition = Indent(nil, []byte(`{
	"customName":"account 17","KIRO_OAUTH_CREDS_FILE_PATH":"./configs/kiro/1767711943_kiro-auth-token/1767711943_kiro-auth-token.json",
	"uuid":"0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0","checkModelName":null,"checkHealth":false,"isHealthy":true,"isDisabled":false,
	"lastUsed":"2026-05-29T22:10:00.001Z","usageCount":1234,"errorCount":0,"lastErrorTime":null,"lastHealthCheckTime":"2026-05-29T22:10:00.001Z",
	"lastHealthCheckModel":"claude-haiku-4-5","lastErrorMessage":null,"needsRefresh":false,"refreshCount":0,"_lastSelectionSeq":88
}`), "", "  ")

var benchEdits = []Edit{
	{"usageCount", []byte("1235")},
	{"lastUsed", []byte(`"2026-05-29T22:10:01.002Z"`)},
	{"scheduledRecoveryTime", []byte("null")},
}

func BenchmarkValid(b *testing.B) {
	b.SetBytes(int64(len(benchDefinition)))
	b.ReportAllocs()
	for b.Loop() {
		if err := Valid(benchDefinition); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkObject(b *testing.B) {
	b.SetBytes(int64(len(benchDefinition)))
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if err := Object(benchDefinition, func(_, _ []byte) error { n++; return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := Get(benchDefinition, "uuid"); !ok {
			b.Fatal("not found")
		}
	}
}

func BenchmarkSetMany(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := SetMany(benchDefinition, benchEdits); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseCount(b *testing.B) {
	b.ReportAllocs()
	lit := []byte("1235")
	for b.Loop() {
		if _, exact := ParseCount(lit); !exact {
			b.Fatal("not exact")
		}
	}
}

func BenchmarkMergePatch(b *testing.B) {
	b.ReportAllocs()
	patch := []byte(`{"usageCount":1235,"customName":null,"new":{"a":1}}`)
	for b.Loop() {
		if _, err := MergePatch(benchDefinition, patch); err != nil {
			b.Fatal(err)
		}
	}
}
