package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/poolkeeper/poolkeeper"
)

// Limits of one request: those of the service, with room to spare. An op that is
// larger by itself travels alone, and the service says whether it takes it.
const (
	maxOps  = 1000
	maxBody = 16 << 20
)

// A sending is an op on its way.
type sending struct {
	result *poolkeeper.Result // where the answer goes
	op     *poolkeeper.Op
	line   []byte // encoded
	safe   bool   // it counts once, however often it is sent
	sent   bool   // the service may have applied it
}

// Apply sends the ops, in as few requests as they fit in, one after the other.
func (c *Client) Apply(ctx context.Context, ops ...poolkeeper.Op) []poolkeeper.Result {
	results := make([]poolkeeper.Result, len(ops))
	err := c.enter()
	if err == nil {
		defer c.leave()
		err = ctx.Err()
	}
	p := c.patience()
	var batch []*sending
	size := 0
	for i := range ops {
		if err != nil {
			results[i].Err = err
			continue
		}
		s, err := c.sending(&ops[i], &results[i])
		if err != nil {
			results[i].Err = err
			continue
		}
		if len(batch) == maxOps || len(batch) > 0 && size+len(s.line) > maxBody {
			c.deliver(ctx, p, batch)
			batch, size = nil, 0
		}
		batch, size = append(batch, s), size+len(s.line)+1
	}
	c.deliver(ctx, p, batch)
	return results
}

// sending encodes an op. It is validated here: what JSON cannot hold must not
// become something else on the way.
func (c *Client) sending(op *poolkeeper.Op, result *poolkeeper.Result) (*sending, error) {
	if err := op.Validate(); err != nil {
		return nil, err
	}
	keyed := op
	if op.Kind == poolkeeper.OpUsage && op.IdempotencyKey == "" {
		copied := *op
		copied.IdempotencyKey = c.writer + "-" + strconv.FormatUint(c.number.Add(1), 36)
		keyed = &copied
	}
	line, err := poolkeeper.EncodeOp(keyed)
	if err != nil {
		return nil, err
	}
	return &sending{result: result, op: op, line: line, safe: keyed.IdempotencyKey != ""}, nil
}

// deliver sends the ops of one request until each has its result.
func (c *Client) deliver(ctx context.Context, p *patience, open []*sending) {
	for len(open) > 0 {
		if ctx.Err() != nil {
			giveUp(open, ctx.Err())
			return
		}
		results, f := c.post(ctx, open)
		if f != nil {
			open = missed(open, f)
		} else {
			open = answered(open, results)
		}
		if len(open) > 0 && !p.pause(ctx) {
			why := error(poolkeeper.Errorf(poolkeeper.ErrUnavailable, "the service could not apply it"))
			if f != nil {
				why = asUnavailable(f.err)
			}
			if ctx.Err() != nil {
				why = ctx.Err()
			}
			giveUp(open, why)
			return
		}
	}
}

// post makes one attempt.
func (c *Client) post(ctx context.Context, open []*sending) ([]poolkeeper.Result, *fault) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	lines := make([][]byte, len(open))
	for i, s := range open {
		lines[i] = s.line
	}
	body := append([]byte{'['}, bytes.Join(lines, []byte{','})...)
	var results []poolkeeper.Result
	f := c.attempt(ctx, http.MethodPost, "/ops", jsonPayload(append(body, ']')), func(r io.Reader) error {
		if err := json.NewDecoder(r).Decode(&results); err != nil {
			return err
		}
		if len(results) != len(open) {
			return errors.New("it has not a result for each op")
		}
		return nil
	})
	return results, f
}

// missed deals with ops whose request was not answered, or refused as a whole. It
// returns those that may be sent again.
func missed(open []*sending, f *fault) (again []*sending) {
	for _, s := range open {
		s.sent = s.sent || f.sent
		switch {
		case f.again && (!s.sent || s.safe):
			again = append(again, s)
		case s.sent:
			s.result.Err = s.annotate(indeterminate(f.err))
		default:
			s.result.Err = s.annotate(f.err)
		}
	}
	return again
}

// answered gives the ops their results. It returns those that are safe to send
// again, and of which it is not known what became of them.
func answered(open []*sending, results []poolkeeper.Result) (again []*sending) {
	for i, s := range open {
		r := results[i]
		switch poolkeeper.ClassOf(r.Err).Err {
		case poolkeeper.ErrIndeterminate:
			s.sent = true
			if s.safe {
				again = append(again, s)
				continue
			}
		case context.Canceled, context.DeadlineExceeded, poolkeeper.ErrClosed:
			// Of the service: it gave this op up before it began.
			r.Err = poolkeeper.Errorf(poolkeeper.ErrUnavailable, "the service stopped before the op was applied")
			fallthrough
		case poolkeeper.ErrUnavailable:
			if s.sent { // not this time; but an earlier time?
				again = append(again, s)
				continue
			}
		}
		if r.Err != nil {
			r = poolkeeper.Result{Err: s.annotate(r.Err)}
		}
		*s.result = r
	}
	return again
}

// giveUp ends the ops that are left: with indeterminate what may have been
// applied, with the reason what surely was not.
func giveUp(open []*sending, why error) {
	for _, s := range open {
		if s.sent {
			s.result.Err = s.annotate(indeterminate(why))
		} else {
			s.result.Err = s.annotate(why)
		}
	}
}

func (s *sending) annotate(err error) error {
	return poolkeeper.Annotate(err, string(s.op.Kind), s.op.Subject())
}
