package show

import (
	"strings"
	"testing"
)

func TestName(t *testing.T) {
	for in, want := range map[string]string{
		"": `""`, "a b": "a b", "é測": "é測", "a\nb": `"a\nb"`, "\xff": `"\xff"`, "a\u200bb": `"a\u200bb"`,
	} {
		if got := Name(in); got != want {
			t.Errorf("%q is shown as %s, want %s", in, got, want)
		}
	}
}

func TestClip(t *testing.T) {
	whole := strings.Repeat("é", maxShown)
	if got := Clip(whole); got != whole {
		t.Errorf("%q was cut", got)
	}
	if got := Clip(whole + "x"); got != whole+"…" {
		t.Errorf("got %q", got)
	}
}
