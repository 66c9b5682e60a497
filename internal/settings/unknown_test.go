package settings

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

// TestUnknownNames: a name in config.json that is nobody's setting is found, once and
// without its value; those of the service and of the adapter for Node are not.
func TestUnknownNames(t *testing.T) {
	for name, c := range map[string]struct {
		config string
		want   []string
	}{
		"no file":          {"", nil},
		"no section":       {`{"jounral":1}`, nil},
		"null":             {`{"poolkeeper":null}`, nil},
		"misspelt":         {`{"poolkeeper":{"addr":"127.0.0.1:1","jounral":"FAKE","Addr":1,"jounral":null}}`, []string{"jounral", "Addr"}},
		"of the gateway":   {`{"redis":{"jounral":1},"poolkeeper":{}}`, nil},
		"no Unicode":       {`{"poolkeeper":{"\ud800":1}}`, []string{`"\ud800"`}},
		"those of clients": {`{"poolkeeper":{"url":"http://h","socketPath":"/s","apiKeyFile":"/f","timeout":5}}`, nil},
	} {
		if got := (sources{config: c.config}).must(t).Unknown(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestTheAdapterIsKnown: what the adapter for Node reads is known.
func TestTheAdapterIsKnown(t *testing.T) {
	source, err := os.ReadFile("../../examples/node/src/options.js")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`section\.(\w+)|pick\('\w+', '(\w+)'\)`).FindAllSubmatch(source, -1)
	if len(found) < 6 {
		t.Fatalf("%q", found)
	}
	for _, m := range found {
		name := string(m[1]) + string(m[2])
		config := `{"poolkeeper":{"` + name + `":""}}`
		if got := (sources{config: config}).must(t).Unknown(); len(got) > 0 {
			t.Errorf("%q", got)
		}
	}
}
