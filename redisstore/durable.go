package redisstore

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/redis/rueidis"
)

// A Durability says when a batch counts as executed.
type Durability string

// The durabilities.
const (
	// Primary: the primary has executed it.
	Primary Durability = "primary"
	// Replicated: a replica has it as well. Where none says so within CommandTimeout,
	// the batch has no answer: it is sent again, identical, and what comes behind it
	// on its key waits, until a replica has it. Its callers hear ErrIndeterminate
	// after RetryFor or, with a Spool, that their ops are queued: the primary has
	// executed it, and an instance that ends meanwhile finds that out.
	Replicated Durability = "replicated"
)

// errUnreplicated is for a batch that was executed and that no replica has yet.
var errUnreplicated = errors.New("no replica has acknowledged it in time")

// execute sends a request once, and waits for a replica where that is asked for.
func (s *Store) execute(ctx context.Context, sc *script, keys, args []string) (string, error) {
	if s.opts.Durability != Replicated {
		return sc.run(ctx, s.client, keys, args)
	}
	// A client waits for WAIT as long as that takes: a server that is gone has to be
	// noticed here.
	ctx, cancel := context.WithTimeout(ctx, 2*s.opts.CommandTimeout+100*time.Millisecond)
	defer cancel()
	var answer string
	err := s.client.Dedicated(func(c rueidis.DedicatedClient) error {
		wait := func() rueidis.Completed {
			return c.B().Wait().Numreplicas(1).Timeout(s.opts.CommandTimeout.Milliseconds()).Build()
		}
		n := int64(len(keys))
		rs := c.DoMulti(ctx, c.B().Evalsha().Sha1(sc.sha).Numkeys(n).Key(keys...).Arg(args...).Build(), wait())
		if re, ok := rueidis.IsRedisErr(rs[0].Error()); ok && re.IsNoScript() {
			rs = c.DoMulti(ctx, c.B().Eval().Script(sc.source).Numkeys(n).Key(keys...).Arg(args...).Build(), wait())
		}
		var err error
		if answer, err = rs[0].ToString(); err != nil || !strings.HasPrefix(answer, "OK ") {
			return err
		}
		replicas, err := rs[1].AsInt64()
		if _, refused := rueidis.IsRedisErr(err); refused || err == nil && replicas < 1 {
			return errUnreplicated
		}
		return err
	})
	return answer, err
}

// mayWait makes sure that the user may wait for a replica.
func (s *Store) mayWait(ctx context.Context) error {
	if s.opts.Durability != Replicated {
		return nil
	}
	err := s.client.Do(ctx, s.client.B().Wait().Numreplicas(0).Timeout(1).Build()).Error()
	if err == nil {
		return nil
	}
	return poolkeeper.Annotate(readError(err), "", "WAIT")
}
