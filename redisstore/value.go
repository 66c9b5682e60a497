package redisstore

import (
	"bytes"
	"context"
	"strconv"

	"github.com/poolkeeper/poolkeeper"
)

// maxHashed is the longest value that a script hashes to see whether it is
// still the one that the caller saw: 64 KiB take it 0.1 ms. A longer one is
// known by its length and the revision of its key.
const maxHashed = 64 << 10

// seen is a value as it was read before an op.
type seen struct {
	present bool
	data    []byte
	rev     string // of the Redis key; read where it may be needed
}

// expect is what a script compares the value with.
func (v seen) expect() string {
	switch {
	case !v.present:
		return "absent"
	case len(v.data) <= maxHashed:
		return contentSHA(v.data)
	}
	return "=" + strconv.Itoa(len(v.data)) + " " + v.rev
}

func (v seen) etag() string { return poolkeeper.ETag(v.data) }

// look reads a value. One that Redis has lost is put back first.
func (s *Store) look(ctx context.Context, name, field string) (v seen, err error) {
	for range maxReads {
		if v, err = s.lookOnce(ctx, name, field); err != nil || v.present {
			break
		}
		if back, err := s.wasBack(ctx, name); err != nil || !back {
			return v, err
		}
	}
	return v, err
}

func (s *Store) lookOnce(ctx context.Context, name, field string) (v seen, err error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	get := s.client.B().Get().Key(name).Build()
	if field != "" {
		get = s.client.B().Hget().Key(name).Field(field).Build()
	}
	// The revision is read first: if something comes between, the value is
	// newer than it, and the script refuses.
	rs := s.client.DoMulti(ctx, s.client.B().Hget().Key(s.ctl(name)).Field("rev").Build(), get)
	if v.rev, err = rs[0].ToString(); isNil(err) {
		v.rev = "0"
	} else if err != nil {
		return v, readError(err)
	}
	data, err := rs[1].ToString()
	if isNil(err) {
		return v, nil
	}
	if err != nil {
		return v, readError(err)
	}
	v.present, v.data = true, []byte(data)
	return v, nil
}

// changeValue tries a put, patch or delete once. ok is false where the value
// changed between reading and writing.
func (s *Store) changeValue(ctx context.Context, op *poolkeeper.Op, entry uint64) (res poolkeeper.Result, ok bool) {
	name, field := s.value(op.Key)
	row := &request{script: valueScript, field: field}
	data, action, expect := op.Data, "put", "any"
	// Files are opaque and big, and nothing is merged into them: what is put
	// without a condition needs no look first.
	if op.Key.Kind != poolkeeper.KindFile || op.If != poolkeeper.Always || op.Kind != poolkeeper.OpPut {
		v, err := s.look(ctx, name, field)
		if err != nil {
			return refuse(err)
		}
		if !met(op.If, v.present, v.etag) {
			return refuse(errUnmet(op, v.present))
		}
		if !v.present && op.Kind != poolkeeper.OpPut {
			return refuse(poolkeeper.Errorf(poolkeeper.ErrNotFound, "there is no %s", op.Key))
		}
		expect = v.expect()
		switch op.Kind {
		case poolkeeper.OpPatch:
			if data, err = op.PatchedValue(ctx, v.data); err != nil {
				return refuse(err)
			}
			if bytes.Equal(data, v.data) {
				rev, err := parseRevision(v.rev)
				return poolkeeper.Result{Err: err, Status: poolkeeper.Applied, Revision: rev}, true
			}
		case poolkeeper.OpDelete:
			action, data = "del", nil
		}
	}
	expiry := ""
	if op.ExpiresAt != 0 {
		expiry = strconv.FormatInt(op.ExpiresAt, 10)
	}
	row.args = []string{field, action, expect, string(data), expiry}
	c := s.lane(name).submitRequest(ctx, valueBatch, op, entry, row, len(data)+len(field)+128)
	if c.result.Err != nil || c.text == "" {
		return c.result, true
	}
	switch c.text {
	case "~":
		return res, false
	case "<":
		return refuse(errLater)
	}
	c.result.Status, c.result.Changed = poolkeeper.Applied, c.text == "1"
	return c.result, true
}

// replaces reports whether an op puts something in the place of whatever is there,
// and there is nothing beside it under its Redis key. Where it comes late, because
// it was queued or had been lost, it gives way to what others have put there since.
func replaces(op *poolkeeper.Op) bool {
	switch op.Key.Kind {
	case poolkeeper.KindPool, poolkeeper.KindTypes, poolkeeper.KindFile, poolkeeper.KindTokenRefs:
		return false
	}
	return (op.Kind == poolkeeper.OpPut || op.Kind == poolkeeper.OpDelete) && op.From == ""
}

var errLater = poolkeeper.Errorf(poolkeeper.ErrConflict, "somebody else has changed it since").
	WithHint("read it again and decide anew")

// prepareValues joins the rows of a batch into one request.
func (w *work) prepareValues() {
	hash := "0"
	if w.key == w.s.files() || w.key == w.s.tokenRefs() {
		hash = "1"
	}
	args := make([]string, 0, 3+5*len(w.open))
	args = append(args, hash, strconv.Itoa(len(w.open)))
	for _, i := range w.open {
		args = append(args, w.batch.calls[i].row.args...)
	}
	decided := ""
	if op := w.batch.calls[w.open[0]].op; (w.batch.queued || w.batch.again) && op != nil {
		decided = strconv.FormatInt(w.s.inRedisTime(op.At), 10)
		if !replaces(op) {
			decided = "-" + decided
		}
	}
	args = append(args, decided)
	w.request = &request{script: valueScript, keys: []string{w.key}, args: args}
}
