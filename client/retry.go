package client

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// A patience is what is left of the time for which one call is tried again.
type patience struct {
	until time.Time
	tries int
}

func (c *Client) patience() *patience { return &patience{until: time.Now().Add(c.opts.RetryFor)} }

// pause waits before the next attempt. It returns false where there is none: the
// time is over, or the context has ended.
func (p *patience) pause(ctx context.Context) bool {
	d := time.Millisecond << min(p.tries, 8)
	d = d/2 + rand.N(d)
	p.tries++
	if time.Now().Add(d).After(p.until) {
		return false
	}
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// read asks for what changes nothing, until there is an answer.
func (c *Client) read(ctx context.Context, method, path string, body *payload, take func(io.Reader) error) error {
	p := c.patience()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		f := c.attempt(ctx, method, path, body, take)
		switch {
		case f == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case !f.again:
			return f.err
		case !p.pause(ctx):
			if err := ctx.Err(); err != nil {
				return err
			}
			return asUnavailable(f.err)
		}
	}
}

// asUnavailable is the error of a read that found no answer, whatever the service
// said of its own contexts.
func asUnavailable(err error) error {
	if poolkeeper.ClassOf(err).Err == poolkeeper.ErrUnavailable {
		return err
	}
	return poolkeeper.Errorf(poolkeeper.ErrUnavailable, "the service has no answer: %v", err)
}

// Load reads a snapshot as it comes.
func (c *Client) Load(ctx context.Context, keys ...poolkeeper.Key) (*poolkeeper.Snapshot, error) {
	if err := c.enter(); err != nil {
		return nil, annotate(err, "load", "store")
	}
	defer c.leave()
	body, none, err := encodeKeys(keys)
	if err != nil {
		return nil, err
	}
	var snap *poolkeeper.Snapshot
	err = c.read(ctx, http.MethodPost, "/load", jsonPayload(body), func(r io.Reader) (err error) {
		snap, err = poolkeeper.DecodeSnapshot(r)
		return err
	})
	if err != nil {
		return nil, annotate(err, "load", "store")
	}
	if none {
		return poolkeeper.NewSnapshot(), nil
	}
	return snap, nil
}
