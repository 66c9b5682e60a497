package client

import (
	"context"
	"encoding/json"
	"io"
	"net/http"

	"github.com/poolkeeper/poolkeeper"
)

var _ poolkeeper.AsideKeeper = (*Client)(nil)

// Pending implements poolkeeper.AsideKeeper: what the service has queued.
func (c *Client) Pending(ctx context.Context) (*poolkeeper.Pending, error) {
	if err := c.enter(); err != nil {
		return nil, annotate(err, "list", "journal")
	}
	defer c.leave()
	var p *poolkeeper.Pending
	// Of an answer that did not come whole nothing is kept.
	err := c.read(ctx, http.MethodGet, "/journal", nil, func(r io.Reader) error {
		p = &poolkeeper.Pending{} // not on top of an answer that was cut off
		return json.NewDecoder(r).Decode(p)
	})
	if err != nil {
		return nil, annotate(err, "list", "journal")
	}
	return p, nil
}

// RetryAside implements poolkeeper.AsideKeeper. Where no answer comes it is
// [poolkeeper.ErrIndeterminate], and [Client.Pending] says whether it was done: it is
// not sent again, as then it might be about others.
func (c *Client) RetryAside(ctx context.Context, pick poolkeeper.Pick) (poolkeeper.Decided, error) {
	return c.decide(ctx, "/journal/retry", pick, "retry")
}

// DiscardAside implements poolkeeper.AsideKeeper, as RetryAside does.
func (c *Client) DiscardAside(ctx context.Context, pick poolkeeper.Pick) (poolkeeper.Decided, error) {
	return c.decide(ctx, "/journal/discard", pick, "discard")
}

func (c *Client) decide(ctx context.Context, path string, pick poolkeeper.Pick, action string) (poolkeeper.Decided, error) {
	var done poolkeeper.Decided
	err := func() error {
		if err := c.enter(); err != nil {
			return err
		}
		defer c.leave()
		if err := pick.Validate(); err != nil {
			return err
		}
		body, err := json.Marshal(pick)
		if err != nil {
			return poolkeeper.Errorf(poolkeeper.ErrInternal, "ops: %v", err)
		}
		return c.sendOnce(ctx, path, jsonPayload(body), "see what is set aside: poolkeeper journal list", decodeInto(&done))
	}()
	if err != nil {
		return poolkeeper.Decided{}, annotate(err, action, "ops set aside")
	}
	return done, nil
}
