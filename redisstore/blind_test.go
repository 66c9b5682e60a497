package redisstore_test

import (
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"sync"
	"testing"

	"github.com/poolkeeper/poolkeeper"
)

// between runs an op whose script is held back while another instance makes a
// change, after the op has read what it builds on.
func (r *rig) between(op, other poolkeeper.Op) poolkeeper.Result {
	r.Helper()
	tap := startTap(r.T, r.srv.Socket())
	b := r.open(tap.url(), patient)
	info, err := b.Info(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	tap.hold(info.Writer)
	var res poolkeeper.Result
	var wg sync.WaitGroup
	wg.Go(func() { res = r.try(b, op) })
	tap.waitHeld(r.T)
	r.must(r.b, other)
	tap.letGo()
	wg.Wait()
	return res
}

// Nothing is written on top of what the writer has not seen: the op is tried
// anew on what is there now, or refused.
func TestNothingIsSetBlindly(t *testing.T) {
	token := poolkeeper.TokenKey(poolkeeper.Ref{Type: "kiro", ID: "a"})
	t.Run("value patch", func(t *testing.T) {
		r := newRig(t)
		r.must(r.b, putOp(token, `{"refreshToken":"1"}`))
		if res := r.between(patchOp(token, `{"mine":1}`), patchOp(token, `{"refreshToken":"2"}`)); res.Err != nil {
			t.Fatal(res.Err)
		}
		if got := r.srv.DoString("GET", "t:tokens:kiro:a"); got != `{"refreshToken":"2","mine":1}` {
			t.Errorf("the token is %s", got)
		}
	})
	t.Run("value put with a condition", func(t *testing.T) {
		r := newRig(t)
		r.must(r.b, putOp(token, `{"refreshToken":"1"}`))
		op := putOp(token, `{"refreshToken":"mine"}`)
		op.If = poolkeeper.If(poolkeeper.ETag([]byte(`{"refreshToken":"1"}`)))
		if res := r.between(op, putOp(token, `{"refreshToken":"2"}`)); !errors.Is(res.Err, poolkeeper.ErrConflict) {
			t.Errorf("%+v, want ErrConflict", res)
		}
		if got := r.srv.DoString("GET", "t:tokens:kiro:a"); got != `{"refreshToken":"2"}` {
			t.Errorf("the token is %s", got)
		}
	})
	t.Run("big value", func(t *testing.T) { // known by its length and revision
		r := newRig(t)
		pad := make([]byte, 100_000)
		for i := range pad {
			pad[i] = 'x'
		}
		r.must(r.b, putOp(token, `{"pad":"`+string(pad)+`","n":1}`))
		if res := r.between(patchOp(token, `{"mine":1}`), patchOp(token, `{"n":2}`)); res.Err != nil {
			t.Fatal(res.Err)
		}
		if got := r.srv.DoString("GET", "t:tokens:kiro:a"); got != `{"pad":"`+string(pad)+`","n":2,"mine":1}` {
			t.Errorf("the token ends with %s", got[len(got)-40:])
		}
	})
	t.Run("value delete", func(t *testing.T) {
		r := newRig(t)
		op := deleteOp(poolkeeper.ConfigKey)
		op.If = poolkeeper.If(poolkeeper.ETag([]byte(`{"a": 1}`)))
		if res := r.between(op, patchOp(poolkeeper.ConfigKey, `{"b":1}`)); !errors.Is(res.Err, poolkeeper.ErrConflict) {
			t.Errorf("%+v, want ErrConflict", res)
		}
	})
	t.Run("provider patch", func(t *testing.T) {
		r := newRig(t)
		patch := func(data string) poolkeeper.Op {
			op := poolOp(poolkeeper.OpPatchProvider, "b")
			op.Patch, op.Data = poolkeeper.MergePatch, []byte(data)
			return op
		}
		if res := r.between(patch(`{"mine":1}`), patch(`{"n":2}`)); res.Err != nil {
			t.Fatal(res.Err)
		}
		if got := r.srv.DoString("HGET", rigPool, "b"); got != `{"uuid":"b","n":2,"mine":1}` {
			t.Errorf("the definition is %s", got)
		}
	})
	t.Run("provider add", func(t *testing.T) {
		r := newRig(t)
		if res := r.between(defineOp(poolkeeper.OpAddProvider, "d", `,"mine":1`), defineOp(poolkeeper.OpAddProvider, "d", "")); !errors.Is(res.Err, poolkeeper.ErrExists) {
			t.Errorf("%+v, want ErrExists", res)
		}
	})
	t.Run("pool replace with a condition", func(t *testing.T) {
		r := newRig(t)
		r.must(r.b, defineOp(poolkeeper.OpAddProvider, "d", ""))
		snap, err := r.b.Load(t.Context(), kiro)
		if err != nil {
			t.Fatal(err)
		}
		op := replaceOp("x")
		op.If = poolkeeper.If(snap.Pools["kiro"].Structure.String())
		if res := r.between(op, defineOp(poolkeeper.OpAddProvider, "e", "")); !errors.Is(res.Err, poolkeeper.ErrConflict) {
			t.Errorf("%+v, want ErrConflict", res)
		}
		if got := r.srv.DoInt("HLEN", rigPool); got != 5 {
			t.Errorf("the pool has %d providers, want 5", got)
		}
	})
	t.Run("pool reorder", func(t *testing.T) {
		r := newRig(t)
		res := r.between(poolkeeper.Op{Kind: poolkeeper.OpReorderPool, Key: kiro, Order: []string{"c", "b", "a"}}, poolOp(poolkeeper.OpDeleteProvider, "b"))
		if !errors.Is(res.Err, poolkeeper.ErrInvalid) {
			t.Errorf("%+v, want ErrInvalid: it no longer names what is there", res)
		}
	})
	t.Run("decision", func(t *testing.T) { // counts on from what is there
		r := newRig(t)
		if res := r.between(errorOp("b"), errorOp("b")); res.Err != nil || res.Count != 2 {
			t.Errorf("%+v, want 2 errors", res)
		}
	})
}

// The counter of a definition is where the state begins only while it is that
// definition.
func TestSeedIsOfTheDefinition(t *testing.T) {
	r := newRig(t)
	tap := startTap(t, r.srv.Socket())
	b := r.open(tap.url(), patient)
	sum := sha1.Sum([]byte(`{"uuid":"a","usageCount":5}`))
	tap.hold(hex.EncodeToString(sum[:])) // the request that begins with 5
	var res poolkeeper.Result
	var wg sync.WaitGroup
	wg.Go(func() { res = r.try(b, useOp("a", 1)) })
	tap.waitHeld(t)
	put := defineOp(poolkeeper.OpPutProvider, "a", `,"usageCount":100`)
	put.State = &poolkeeper.State{}
	r.must(r.b, put)
	tap.letGo()
	wg.Wait()
	if res.Err != nil || res.Count != 101 || r.usageOf("a") != "101" {
		t.Errorf("%+v, usageCount %s; want 101", res, r.usageOf("a"))
	}
}
