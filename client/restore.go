package client

import (
	"context"
	"io"
	"net/http"

	"github.com/poolkeeper/poolkeeper"
)

// Restore sends a snapshot, encoded as it goes. Where no answer comes it is
// [poolkeeper.ErrIndeterminate]: simply run it again, and
// [poolkeeper.ErrExists] then says that it was done.
func (c *Client) Restore(ctx context.Context, snap *poolkeeper.Snapshot) error {
	return annotate(c.restore(ctx, snap), "restore", "store")
}

func (c *Client) restore(ctx context.Context, snap *poolkeeper.Snapshot) error {
	if err := c.enter(); err != nil {
		return err
	}
	defer c.leave()
	// What cannot be encoded is found before anything is sent.
	if err := poolkeeper.EncodeSnapshot(io.Discard, snap); err != nil {
		return err
	}
	body := &payload{media: typeLines, size: -1, open: func() io.ReadCloser {
		r, w := io.Pipe()
		go func() { w.CloseWithError(poolkeeper.EncodeSnapshot(w, snap)) }()
		return r
	}}
	return c.sendOnce(ctx, "/restore", body, "run it again", func(r io.Reader) error {
		_, err := io.Copy(io.Discard, r)
		return err
	})
}

// sendOnce sends what must not take effect twice: again only where it surely was not
// sent. The hint says what to do where that is not known.
func (c *Client) sendOnce(ctx context.Context, path string, body *payload, hint string, take func(io.Reader) error) error {
	p := c.patience()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		f := c.attempt(ctx, http.MethodPost, path, body, take)
		switch {
		case f == nil:
			return nil
		case f.sent:
			return indeterminate(f.err).WithHint("%s", hint)
		case ctx.Err() != nil:
			return ctx.Err()
		case !f.again || !p.pause(ctx):
			return f.err
		}
	}
}

// indeterminate is the error of what was sent and not answered.
func indeterminate(err error) *poolkeeper.Error {
	return poolkeeper.Errorf(poolkeeper.ErrIndeterminate, "sent, and no answer came: %v", err)
}
