package redisstore

import (
	"context"
	"errors"
	"net"
	"strings"

	"github.com/poolkeeper/poolkeeper"
	"github.com/redis/rueidis"
)

// A failure is what an attempt to send something came to.
type failure struct {
	err error // of the closed set
	// sent says that Redis may have executed it, or may yet.
	sent bool
	// again says that trying again may help.
	again bool
}

// A refusal is an error reply of Redis, by its first word.
type refusal struct {
	word  string
	err   error  // of the closed set
	text  string // for people, with the word
	again bool   // it is an outage: trying again may help
}

// refusals are the error replies that say something of their own. Redis answers
// them before it executes anything, so that what they refuse was surely not
// applied. docs/operations.md has the table for people.
var refusals = []refusal{
	{"LOADING", poolkeeper.ErrUnavailable, refusedText, true},
	{"READONLY", poolkeeper.ErrUnavailable, refusedText, true},
	{"MASTERDOWN", poolkeeper.ErrUnavailable, refusedText, true},
	{"CLUSTERDOWN", poolkeeper.ErrUnavailable, refusedText, true},
	{"TRYAGAIN", poolkeeper.ErrUnavailable, refusedText, true},
	{"BUSY", poolkeeper.ErrUnavailable, refusedText, true},
	{"OOM", poolkeeper.ErrUnavailable, refusedText, true},
	{"MISCONF", poolkeeper.ErrUnavailable, refusedText, true},
	{"NOREPLICAS", poolkeeper.ErrUnavailable, refusedText, true},
	{"MOVED", poolkeeper.ErrUnavailable, refusedText, true},
	{"ASK", poolkeeper.ErrUnavailable, refusedText, true},
	{"WRONGPASS", poolkeeper.ErrForbidden, "Redis refused the user name or password (%s)", false},
	{"NOAUTH", poolkeeper.ErrForbidden, "Redis asks for a password (%s)", false},
	{"NOPERM", poolkeeper.ErrForbidden, "the Redis user lacks a permission (%s)", false},
}

const refusedText = "Redis refused the command: %s"

func (r *refusal) failure() *failure {
	err := poolkeeper.Errorf(r.err, r.text, r.word)
	if !r.again {
		err = err.WithHint("check the credentials and the ACL of the Redis user")
	}
	return &failure{err: err, again: r.again}
}

// classify sorts an error of the client. Nil stays nil.
func classify(err error) *failure {
	if err == nil {
		return nil
	}
	if re, ok := rueidis.IsRedisErr(err); ok {
		text := re.Error()
		word, _, _ := strings.Cut(text, " ")
		for i := range refusals {
			if refusals[i].word == word {
				return refusals[i].failure()
			}
		}
		switch {
		case strings.Contains(text, "The user executing the script"):
			return &failure{err: poolkeeper.Errorf(poolkeeper.ErrForbidden, "the Redis user lacks a permission that the scripts need").
				WithHint("give the user the whole ACL line of docs/formats.md")}
		case word == "WRONGTYPE" || strings.Contains(text, "WRONGTYPE"):
			return &failure{err: poolkeeper.Errorf(poolkeeper.ErrDamaged, "a key in Redis has another type than Poolkeeper gave it")}
		}
		for i := range refusals { // an error inside a script has the word in its midst
			if r := &refusals[i]; r.again && strings.Contains(text, r.word+" ") {
				return r.failure()
			}
		}
		return &failure{err: poolkeeper.Errorf(poolkeeper.ErrInternal, "Redis answered with an error: %s", firstLine(text))}
	}
	if errors.Is(err, errUnreplicated) {
		return &failure{err: poolkeeper.Errorf(poolkeeper.ErrIndeterminate, "Redis has executed it, and %v", err).
			WithHint("is there a replica, and is it connected? durability=primary does without"), sent: true, again: true}
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return &failure{err: unavailable(err), again: true}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, rueidis.ErrClosing) {
		return &failure{err: poolkeeper.Errorf(poolkeeper.ErrIndeterminate, "the connection was closed before an answer"), sent: true}
	}
	return &failure{err: poolkeeper.Errorf(poolkeeper.ErrIndeterminate, "no answer from Redis: %v", netReason(err)), sent: true, again: true}
}

func unavailable(err error) error {
	return poolkeeper.Errorf(poolkeeper.ErrUnavailable, "Redis cannot be reached: %v", netReason(err))
}

// netReason is the inner cause of a network error, which names no credential.
func netReason(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op
	}
	return err
}

// firstLine bounds what of an error reply is shown. Redis' errors name
// commands and script lines, never arguments.
func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	if len(s) > 200 {
		s = s[:200]
	}
	return s
}

// readError turns the error of a read into one of the closed set: a read has
// no outcome that could be unknown.
func readError(err error) error {
	f := classify(err)
	if f == nil {
		return nil
	}
	if f.sent {
		return poolkeeper.Errorf(poolkeeper.ErrUnavailable, "no answer from Redis: %v", netReason(err))
	}
	return f.err
}
