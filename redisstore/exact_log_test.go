package redisstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/poolkeeper/poolkeeper"
)

// An exactLog is what one process did, a line for each step, written before
// the step or after it and at once: what a process that is killed has written
// is there, and what it was about to be told it has not written.
//
//	i <op> <provider> <n> [d]   the increment op is about to begin; d: the caller has a deadline
//	a <op> <count>              it was acknowledged with that count
//	r <op> <code>               it was refused: surely not applied
//	u <op>                      its outcome is unknown
//	n <what> <code>             something else was done, and came to that; ok where it was applied
//	x <text>                    what must not be
//	e                           the process ended in order
type exactLog struct{ f *os.File }

func newExactLog(name string) (exactLog, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	return exactLog{f}, err
}

func (l exactLog) line(format string, args ...any) {
	if _, err := l.f.Write(fmt.Appendf(nil, format+"\n", args...)); err != nil {
		panic(err) // without its log the process proves nothing
	}
}

// note records what something other than an increment came to.
func (l exactLog) note(what string, err error) {
	code := "ok"
	if err != nil {
		code = poolkeeper.ClassOf(err).Code
		if code == "internal" || code == "damaged" || code == "lost" {
			l.line("x %s: %s", what, strings.ReplaceAll(err.Error(), "\n", " "))
		}
	}
	l.line("n %s %s", what, code)
}

// An exactRecord is a log as it was read: what one process did.
type exactRecord struct {
	ops   []exactOp
	other map[string]int // "<what> <code>" → how often
	wrong []string
	ended bool
}

// An exactOp is one increment, and what its caller was told.
type exactOp struct {
	provider string
	n        int64
	deadline bool
	outcome  byte // a, r or u; 0 where the process ended before there was one
	count    int64
	code     string
	least    int64 // the highest count acknowledged in this process before it began
}

// readExactLog reads the log of a process, which may have been killed: then the
// last line may be torn, or the log not be there yet.
func readExactLog(name string) (*exactRecord, error) {
	data, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	rec := &exactRecord{other: map[string]int{}}
	index := map[string]int{}     // op → its place in ops
	highest := map[string]int64{} // provider → the highest count acknowledged so far
	seen := map[string]bool{}     // provider → whether there is one
	place := func(op string) (*exactOp, error) {
		i, ok := index[op]
		if !ok || rec.ops[i].outcome != 0 {
			return nil, fmt.Errorf("op %s has an outcome too many", op)
		}
		return &rec.ops[i], nil
	}
	for number := 1; ; number++ {
		line, rest, whole := bytes.Cut(data, []byte("\n"))
		if !whole { // empty, or torn
			return rec, nil
		}
		data = rest
		word := strings.Fields(string(line))
		bad := func(err error) (*exactRecord, error) {
			return nil, fmt.Errorf("%s:%d: %q: %v", name, number, line, err)
		}
		if len(word) == 0 {
			return bad(fmt.Errorf("empty"))
		}
		switch {
		case word[0] == "i" && len(word) >= 4:
			op := exactOp{provider: word[2], deadline: len(word) > 4}
			if op.n, err = strconv.ParseInt(word[3], 10, 64); err != nil {
				return bad(err)
			}
			op.least = -1 << 62
			if seen[op.provider] {
				op.least = highest[op.provider]
			}
			index[word[1]] = len(rec.ops)
			rec.ops = append(rec.ops, op)
		case word[0] == "a" && len(word) == 3:
			op, err := place(word[1])
			if err != nil {
				return bad(err)
			}
			op.outcome = 'a'
			if op.count, err = strconv.ParseInt(word[2], 10, 64); err != nil {
				return bad(err)
			}
			if !seen[op.provider] || op.count > highest[op.provider] {
				seen[op.provider], highest[op.provider] = true, op.count
			}
		case word[0] == "r" && len(word) == 3:
			op, err := place(word[1])
			if err != nil {
				return bad(err)
			}
			op.outcome, op.code = 'r', word[2]
		case word[0] == "u" && len(word) == 2:
			op, err := place(word[1])
			if err != nil {
				return bad(err)
			}
			op.outcome = 'u'
		case word[0] == "n" && len(word) == 3:
			rec.other[word[1]+" "+word[2]]++
		case word[0] == "x":
			rec.wrong = append(rec.wrong, strings.TrimPrefix(string(line), "x "))
		case word[0] == "e":
			rec.ended = true
		default:
			return bad(fmt.Errorf("not a line of a log"))
		}
	}
}
