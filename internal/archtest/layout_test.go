package archtest

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestLayout: the tables of CONTRIBUTING and of the architecture name each package.
func TestLayout(t *testing.T) {
	for page, from := range map[string]string{"CONTRIBUTING.md": "\n## Layout\n", "docs/architecture.md": "\n## Packages\n"} {
		data, err := os.ReadFile("../../" + page)
		if err != nil {
			t.Fatal(err)
		}
		_, text, ok := strings.Cut(string(data), from)
		if text, _, _ = strings.Cut(text, "\n## "); !ok {
			t.Errorf("%s has no part %q", page, from)
		}
		for _, name := range slices.Sorted(maps.Keys(table)) {
			if name != "." && !strings.HasPrefix(name, "examples/") && !strings.Contains(text, "`"+name+"`") {
				t.Errorf("the table of %s has no %s", page, name)
			}
		}
	}
}
