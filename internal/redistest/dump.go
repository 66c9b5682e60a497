package redistest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Dump returns the content of database 0, a line for each key that is the same
// whenever the content is: type, whether there is a time to live (not how
// long), and everything in it, with the fields of hashes and the members of
// sets sorted and sorted sets with their scores. It is no snapshot: nothing
// may write meanwhile.
func (s *Server) Dump() map[string]string {
	s.fail.helper()
	m, err := s.dump()
	if err != nil {
		s.fail.fatalf("dump of %s: %v", s.Addr(), err)
	}
	return m
}

// Dump returns the content of all nodes, as [Server.Dump] does.
func (c *Cluster) Dump() map[string]string {
	c.fail.helper()
	all := map[string]string{}
	for _, n := range c.Nodes {
		m, err := n.dump()
		if err != nil {
			c.fail.fatalf("dump of %s: %v", n.Addr(), err)
		}
		maps.Copy(all, m)
	}
	return all
}

// Hash returns a hash of a dump: two are equal when, and only when, the dumps
// are.
func Hash(dump map[string]string) string {
	h := sha256.New()
	for _, k := range slices.Sorted(maps.Keys(dump)) {
		fmt.Fprintf(h, "%d %s %d %s\n", len(k), k, len(dump[k]), dump[k])
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (s *Server) dump() (map[string]string, error) {
	keys, err := s.keys("*")
	if err != nil {
		return nil, err
	}
	out := make(map[string]string, len(keys))
	for chunk := range slices.Chunk(keys, 256) {
		if err := s.dumpKeys(chunk, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *Server) dumpKeys(keys []string, out map[string]string) error {
	var ask [][]string
	for _, k := range keys {
		ask = append(ask, []string{"TYPE", k}, []string{"PTTL", k})
	}
	heads, err := s.Pipeline(ask...)
	if err != nil {
		return err
	}
	var live, types []string
	var reads [][]string
	for i, k := range keys {
		typ, err := text(heads[2*i])
		if err != nil {
			return err
		}
		if typ == "none" { // expired since the scan
			continue
		}
		read, ok := readCommand(typ, k)
		if !ok {
			return fmt.Errorf("key %q has the unknown type %s", k, typ)
		}
		ttl, ok := heads[2*i+1].(int64)
		if !ok {
			return fmt.Errorf("PTTL %q: %v", k, heads[2*i+1])
		}
		if ttl >= 0 {
			typ += " ttl"
		}
		live, types, reads = append(live, k), append(types, typ), append(reads, read)
	}
	if len(reads) == 0 {
		return nil
	}
	contents, err := s.Pipeline(reads...)
	if err != nil {
		return err
	}
	for i, k := range live {
		if e, ok := contents[i].(Error); ok {
			return e
		}
		out[k] = types[i] + " " + canonical(types[i], contents[i])
	}
	return nil
}

// readCommand returns the command that reads all of a key.
func readCommand(typ, key string) ([]string, bool) {
	switch typ {
	case "string":
		return []string{"GET", key}, true
	case "hash":
		return []string{"HGETALL", key}, true
	case "list":
		return []string{"LRANGE", key, "0", "-1"}, true
	case "set":
		return []string{"SMEMBERS", key}, true
	case "zset":
		return []string{"ZRANGE", key, "0", "-1", "WITHSCORES"}, true
	case "stream":
		return []string{"XRANGE", key, "-", "+"}, true
	}
	return nil, false
}

// canonical writes a reply so that equal contents give equal text.
func canonical(typ string, v any) string {
	list, ok := v.([]any)
	if !ok {
		return quoteReply(v)
	}
	typ, _, _ = strings.Cut(typ, " ")
	var parts []string
	switch typ {
	case "hash", "zset":
		for i := 0; i+1 < len(list); i += 2 {
			parts = append(parts, quoteReply(list[i])+"="+quoteReply(list[i+1]))
		}
	default:
		for _, e := range list {
			parts = append(parts, quoteReply(e))
		}
	}
	if typ == "hash" || typ == "set" {
		sort.Strings(parts)
	}
	return "[" + strings.Join(parts, " ") + "]"
}

func quoteReply(v any) string {
	switch v := v.(type) {
	case string:
		return strconv.Quote(v)
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = quoteReply(e)
		}
		return "[" + strings.Join(parts, " ") + "]"
	}
	return fmt.Sprint(v)
}
