package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/poolkeeper/poolkeeper"
)

var (
	_ poolkeeper.ImportMarker = (*Client)(nil)
	_ poolkeeper.Flusher      = (*Client)(nil)
	_ poolkeeper.Recoverer    = (*Client)(nil)
)

// An Instance is the process that answers.
type Instance struct {
	Version string `json:"version"`
	PID     int    `json:"pid"`
	Address string `json:"address"` // where it answers, but for its socket
	Store   string `json:"store"`   // which store it serves, without secrets
}

// Instance asks once who answers. The store is not asked, so that it is known also
// while that is away.
func (c *Client) Instance(ctx context.Context) (Instance, error) {
	if err := c.enter(); err != nil {
		return Instance{}, err
	}
	defer c.leave()
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	var in Instance
	if f := c.attempt(ctx, http.MethodGet, "/instance", nil, decodeInto(&in)); f != nil {
		return Instance{}, f.err
	}
	return in, nil
}

// MarkImport implements poolkeeper.ImportMarker. A store that cannot be marked is
// left as it is.
func (c *Client) MarkImport(ctx context.Context, run string, unfinished bool) error {
	body, err := json.Marshal(struct {
		Run        string `json:"run"`
		Unfinished bool   `json:"unfinished"`
	}{run, unfinished})
	if err != nil {
		return poolkeeper.Errorf(poolkeeper.ErrInternal, "run: %v", err)
	}
	return annotate(c.tell(ctx, "/import-mark", jsonPayload(body)), "mark the import into", "store")
}

// Flush implements poolkeeper.Flusher. Where the service has no files there is
// nothing to wait for.
func (c *Client) Flush(ctx context.Context) error {
	return annotate(c.tell(ctx, "/flush", nil), "flush", "store")
}

// Recover implements poolkeeper.Recoverer. It is asked once: whether it was done is
// not known where the answer is lost, and to ask again does no harm.
func (c *Client) Recover(ctx context.Context, adopt bool) (poolkeeper.Recovered, error) {
	var done poolkeeper.Recovered
	if err := c.enter(); err != nil {
		return done, err
	}
	defer c.leave()
	body, err := json.Marshal(map[string]bool{"adopt": adopt})
	if err != nil {
		return done, poolkeeper.Errorf(poolkeeper.ErrInternal, "%v", err)
	}
	if f := c.attempt(ctx, http.MethodPost, "/recover", jsonPayload(body), decodeInto(&done)); f != nil {
		return done, poolkeeper.Annotate(f.err, "recover", "store")
	}
	return done, nil
}

// tell sends what is the same however often it is sent.
func (c *Client) tell(ctx context.Context, path string, body *payload) error {
	if err := c.enter(); err != nil {
		return err
	}
	defer c.leave()
	return c.read(ctx, http.MethodPost, path, body, func(r io.Reader) error {
		var answer struct{ Status poolkeeper.Status }
		err := json.NewDecoder(r).Decode(&answer)
		if err == nil && answer.Status != poolkeeper.Applied {
			err = errors.New("it is not said to be done")
		}
		return err
	})
}
