package redisstore

import (
	"strings"
	"testing"
)

// TestPlace: one store is one text, two are two, and none holds a credential.
func TestPlace(t *testing.T) {
	place := func(url, prefix string) string {
		t.Helper()
		p, err := Place(url, prefix)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(p, "FAKE") {
			t.Errorf("%s has credentials", p)
		}
		return p
	}
	one := place("redis://h:6379/0", "p:")
	for _, same := range []string{"redis://h", "redis://H:6379", "redis://FAKE:FAKE@h:6379?db=0", "rediss://:FAKE@h:6379"} {
		if p := place(same, "p:"); p != one {
			t.Errorf("%s is %q, want %q", same, p, one)
		}
	}
	seen := map[string]string{}
	for _, other := range []string{"redis://h", "redis://h/1", "redis://i", "redis://h:6380", "unix:///h", "redis://h,i?master=m", "redis://h,i?master=n", "redis://h,i?cluster=true"} {
		for _, prefix := range []string{"p:", "q:"} {
			p := place(other, prefix)
			if seen[p] != "" {
				t.Errorf("%s and %s with %s are both %q", seen[p], other, prefix, p)
			}
			seen[p] = other
		}
	}
	if place("redis://a,b?cluster=true", "p:") != place("redis://b,a?cluster=true", "p:") {
		t.Error("the order of hosts counts")
	}
	if _, err := Place("redis://h?x=FAKE", "p:"); err == nil || strings.Contains(err.Error(), "FAKE") {
		t.Errorf("error %v", err)
	}
}
