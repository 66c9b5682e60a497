package redistest

import (
	"maps"
	"reflect"
	"testing"
)

func TestDump(t *testing.T) {
	t.Parallel()
	s := Start(t)
	fill := func(reverse bool) {
		s.FlushAll()
		fields := []string{"b", "2", "a", "1 =\""}
		if reverse {
			fields = []string{"a", "1 =\"", "b", "2"}
		}
		s.DoInt(append([]string{"HSET", "h"}, fields...)...)
		s.DoInt("SADD", "s", fields[0], fields[2])
		s.DoInt("RPUSH", "l", "x", "y")
		s.DoInt("ZADD", "z", "2.5", "m", "1", "n")
		s.DoString("SET", "str", "v", "PX", "100000")
		s.DoString("XADD", "x", "1-1", "f", "v")
	}
	fill(false)
	first := s.Dump()
	want := map[string]string{
		"h":   `hash ["a"="1 =\"" "b"="2"]`,
		"s":   `set ["a" "b"]`,
		"l":   `list ["x" "y"]`,
		"z":   `zset ["n"="1" "m"="2.5"]`,
		"str": `string ttl "v"`,
		"x":   `stream [["1-1" ["f" "v"]]]`,
	}
	if !reflect.DeepEqual(first, want) {
		t.Errorf("Dump = %q, want %q", first, want)
	}
	fill(true)
	if Hash(first) != Hash(s.Dump()) {
		t.Error("equal contents differ in their hash")
	}
	s.DoInt("PERSIST", "str")
	if Hash(first) == Hash(s.Dump()) {
		t.Error("a lost time to live is not seen")
	}
	other := maps.Clone(first)
	delete(other, "l")
	if Hash(first) == Hash(other) {
		t.Error("a lost key is not seen")
	}
}
