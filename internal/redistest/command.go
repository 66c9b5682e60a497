package redistest

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Do runs a command and returns its reply: nil, int64, string, or []any of
// those and of [Error]. An error reply is returned as err, of type [Error].
// Strings are bytes, whatever they hold. It gives up after ten seconds.
func (s *Server) Do(args ...string) (any, error) {
	replies, err := s.Pipeline(args)
	if err != nil {
		return nil, err
	}
	if e, ok := replies[0].(Error); ok {
		return nil, e
	}
	return replies[0], nil
}

// Pipeline runs commands in one write. An error reply stands in its place of
// the result, as an [Error].
func (s *Server) Pipeline(cmds ...[]string) ([]any, error) {
	return s.client.do(cmds...)
}

func (s *Server) must(args ...string) any {
	s.fail.helper()
	v, err := s.Do(args...)
	if err != nil {
		s.fail.fatalf("%s on %s: %v", brief(args), s.Addr(), err)
	}
	return v
}

// brief shows a command in a message without its payload.
func brief(args []string) string {
	const most = 120
	q := strconv.Quote(strings.Join(args, " "))
	if len(q) > most {
		q = q[:most] + "…"
	}
	return q
}

// DoInt runs a command whose reply is an integer, or a string that is one.
func (s *Server) DoInt(args ...string) int64 {
	s.fail.helper()
	v := s.must(args...)
	switch v := v.(type) {
	case int64:
		return v
	case string:
		if n, err := strconv.ParseInt(v, 10, 64); err == nil {
			return n
		}
	}
	s.fail.fatalf("%s: no integer: %#v", brief(args), v)
	return 0
}

// DoString runs a command whose reply is a string or an integer. Null is "";
// use [Server.Do] to tell it from an empty string.
func (s *Server) DoString(args ...string) string {
	s.fail.helper()
	v := s.must(args...)
	str, err := text(v)
	if err != nil {
		s.fail.fatalf("%s: %v", brief(args), err)
	}
	return str
}

// DoStrings runs a command whose reply is an array of strings or integers.
func (s *Server) DoStrings(args ...string) []string {
	s.fail.helper()
	v := s.must(args...)
	list, err := texts(v)
	if err != nil {
		s.fail.fatalf("%s: %v", brief(args), err)
	}
	return list
}

func text(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case Error:
		return "", v
	}
	return "", fmt.Errorf("no string: %#v", v)
}

func texts(v any) ([]string, error) {
	list, ok := v.([]any)
	if !ok {
		if e, ok := v.(Error); ok {
			return nil, e
		}
		return nil, fmt.Errorf("no array: %#v", v)
	}
	out := make([]string, len(list))
	for i, e := range list {
		var err error
		if out[i], err = text(e); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// HGetAll returns a hash; a missing one is empty.
func (s *Server) HGetAll(key string) map[string]string {
	s.fail.helper()
	list := s.DoStrings("HGETALL", key)
	m := make(map[string]string, len(list)/2)
	for i := 0; i+1 < len(list); i += 2 {
		m[list[i]] = list[i+1]
	}
	return m
}

// Keys returns the keys that match a glob pattern, sorted, found by SCAN.
func (s *Server) Keys(pattern string) []string {
	s.fail.helper()
	keys, err := s.keys(pattern)
	if err != nil {
		s.fail.fatalf("scan %q on %s: %v", pattern, s.Addr(), err)
	}
	return keys
}

func (s *Server) keys(pattern string) ([]string, error) {
	seen := map[string]struct{}{}
	for cursor := "0"; ; {
		v, err := s.Do("SCAN", cursor, "MATCH", pattern, "COUNT", "1000")
		if err != nil {
			return nil, err
		}
		pair, ok := v.([]any)
		if !ok || len(pair) != 2 {
			return nil, errFraming
		}
		page, err := texts(pair[1])
		if err != nil {
			return nil, err
		}
		for _, k := range page {
			seen[k] = struct{}{}
		}
		if cursor, err = text(pair[0]); err != nil {
			return nil, err
		}
		if cursor == "0" {
			break
		}
	}
	keys := make([]string, 0, len(seen))
	for k := range seen {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys, nil
}

// FlushAll empties every database.
func (s *Server) FlushAll() {
	s.fail.helper()
	s.must("FLUSHALL")
}

// ConfigSet changes a setting until the next restart.
func (s *Server) ConfigSet(key, value string) {
	s.fail.helper()
	s.must("CONFIG", "SET", key, value)
}

// Info returns the fields of sections of INFO, e.g. "replication" or
// "commandstats".
func (s *Server) Info(sections ...string) map[string]string {
	s.fail.helper()
	m, err := s.info(sections...)
	if err != nil {
		s.fail.fatalf("info on %s: %v", s.Addr(), err)
	}
	return m
}

func (s *Server) info(sections ...string) (map[string]string, error) {
	v, err := s.Do(append([]string{"INFO"}, sections...)...)
	if err != nil {
		return nil, err
	}
	str, err := text(v)
	if err != nil {
		return nil, err
	}
	return infoFields(str), nil
}

// infoFields reads the "name:value" lines of INFO and CLUSTER INFO.
func infoFields(str string) map[string]string {
	m := map[string]string{}
	for line := range strings.SplitSeq(str, "\r\n") {
		if k, v, ok := strings.Cut(line, ":"); ok {
			m[k] = v
		}
	}
	return m
}

// SlowEntry is one line of the slow log.
type SlowEntry struct {
	ID   int64
	Time time.Time // to the second
	Took time.Duration
	Args []string // as Redis kept them: long ones are shortened
}

// SlowLog returns the slow log, the newest first. What counts as slow is the
// setting slowlog-log-slower-than, in microseconds.
func (s *Server) SlowLog() []SlowEntry {
	s.fail.helper()
	list, _ := s.must("SLOWLOG", "GET", "-1").([]any)
	out := make([]SlowEntry, 0, len(list))
	for _, v := range list {
		e, _ := v.([]any)
		if len(e) < 4 {
			s.fail.fatalf("SLOWLOG GET: unexpected entry %#v", v)
		}
		id, _ := e[0].(int64)
		at, _ := e[1].(int64)
		took, _ := e[2].(int64)
		args, err := texts(e[3])
		if err != nil {
			s.fail.fatalf("SLOWLOG GET: %v", err)
		}
		out = append(out, SlowEntry{ID: id, Time: time.Unix(at, 0), Took: time.Duration(took) * time.Microsecond, Args: args})
	}
	return out
}
