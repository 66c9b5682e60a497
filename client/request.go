package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"

	"github.com/poolkeeper/poolkeeper"
)

const (
	typeJSON  = "application/json"
	typeLines = "application/x-ndjson"

	maxProblem = 1 << 20
)

// A fault is why an attempt brought no answer, or brought a refusal.
type fault struct {
	err   error
	sent  bool // the service may have acted on it
	again bool // another attempt may fare better
}

// A payload is a body that can be sent more than once.
type payload struct {
	media string
	open  func() io.ReadCloser
	size  int64 // -1 where it is not known
}

func jsonPayload(b []byte) *payload {
	return &payload{typeJSON, func() io.ReadCloser { return io.NopCloser(bytes.NewReader(b)) }, int64(len(b))}
}

// attempt sends one request and lets take read the answer. An error of take means
// that the answer did not come whole.
func (c *Client) attempt(ctx context.Context, method, path string, body *payload, take func(io.Reader) error) *fault {
	return c.attemptWith(ctx, method, path, http.Header{}, body, take)
}

// attemptWith is attempt with headers of its own.
func (c *Client) attemptWith(ctx context.Context, method, path string, header http.Header, body *payload, take func(io.Reader) error) *fault {
	var connected atomic.Bool
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	req, err := http.NewRequestWithContext(traced, method, c.base+path, nil)
	if err != nil {
		return &fault{err: poolkeeper.Errorf(poolkeeper.ErrInternal, "request: %v", err)}
	}
	req.Header = header
	req.Header.Set("Authorization", c.key)
	if poolkeeper.ReadsCurrent(ctx) {
		req.Header.Set("Cache-Control", "no-cache")
	}
	if body != nil {
		req.Header.Set("Content-Type", body.media)
		req.Body, req.ContentLength = body.open(), body.size
		req.GetBody = func() (io.ReadCloser, error) { return body.open(), nil }
	}
	res, err := c.http.Do(req)
	if err != nil {
		// A request whose connection was refused was not sent; the transport
		// tries another connection by itself only where the first one took nothing.
		var op *net.OpError
		sent := connected.Load() && !(errors.As(err, &op) && op.Op == "dial")
		return &fault{err: unanswered(err), sent: sent, again: true}
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusOK {
		if err := take(res.Body); err != nil {
			return &fault{err: unanswered(err), sent: true, again: true}
		}
		_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 4096)) // for the connection to be used again
		return nil
	}
	return refusal(res)
}

// unanswered says what went wrong below HTTP; never the URL.
func unanswered(err error) error {
	var e *url.Error // which begins with the method and the URL
	if errors.As(err, &e) {
		err = e.Err
	}
	return poolkeeper.Errorf(poolkeeper.ErrUnavailable, "the service does not answer: %v", err).
		WithHint("is it running, and is its address right?")
}

// A problem is the part of a problem+json that is read.
type problem struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
	Hint   string `json:"hint"`
}

// refusal reads an answer that is no success.
func refusal(res *http.Response) *fault {
	data, err := io.ReadAll(io.LimitReader(res.Body, maxProblem))
	media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	var p problem
	class, known := poolkeeper.ErrorClass{}, false
	if err == nil && media == "application/problem+json" && json.Unmarshal(data, &p) == nil {
		class, known = poolkeeper.ClassOfCode(p.Code)
	}
	if !known {
		// Not ours: a proxy, or another service. What it did is not known.
		if res.StatusCode >= 500 {
			return &fault{sent: true, again: true,
				err: poolkeeper.Errorf(poolkeeper.ErrUnavailable, "something before the service answered %d", res.StatusCode)}
		}
		return &fault{err: poolkeeper.Errorf(poolkeeper.ErrForbidden, "the answer %d is none of a Poolkeeper service", res.StatusCode).
			WithHint("check the URL")}
	}
	e := &told{poolkeeper.Error{Err: class.Err, Detail: p.Detail, Hint: p.Hint}}
	switch class.Err {
	case context.Canceled, context.DeadlineExceeded, poolkeeper.ErrIndeterminate, poolkeeper.ErrInternal:
		return &fault{err: e, sent: true, again: class.Err != poolkeeper.ErrInternal}
	case poolkeeper.ErrClosed: // the service, not this client
		e.is.Err = poolkeeper.ErrUnavailable
		return &fault{err: e, again: true}
	}
	return &fault{err: e}
}

// A told is an error of the service, which says by itself what was done to what.
type told struct{ is poolkeeper.Error }

func (t *told) Error() string { return t.is.Error() }
func (t *told) Unwrap() error { return &t.is }

// annotate adds to an error of this side what was done to what.
func annotate(err error, action, key string) error {
	if t, ok := err.(*told); ok {
		return &t.is
	}
	return poolkeeper.Annotate(err, action, key)
}

// decodeInto reads JSON into a value.
func decodeInto(v any) func(io.Reader) error {
	return func(r io.Reader) error { return json.NewDecoder(r).Decode(v) }
}
