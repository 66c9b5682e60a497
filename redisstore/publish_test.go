package redisstore_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/redisstore"
	"github.com/redis/rueidis"
)

// A published is one publication, taken apart by what docs/formats.md says.
type published struct {
	Key, Prev, Rev, Kind string
	Body                 []string
}

func parsePublished(t *testing.T, s string) published {
	t.Helper()
	version, rest := s[:1], s[1:]
	if version != "1" {
		t.Fatalf("publication %q does not begin with its version", s)
	}
	var parts []string
	for rest != "" {
		if len(parts) == 4 && parts[3] == "state" {
			parts = append(parts, strings.Split(rest, "\x00")...)
			break
		}
		n, tail, ok := strings.Cut(rest, ":")
		size, err := strconv.Atoi(n)
		if !ok || err != nil || size >= len(tail) || tail[size] != ',' {
			t.Fatalf("publication %q is not made of netstrings", s)
		}
		parts, rest = append(parts, tail[:size]), tail[size+1:]
	}
	if len(parts) < 4 {
		t.Fatalf("publication %q has no header", s)
	}
	p := published{Key: parts[0], Prev: parts[1], Rev: parts[2], Kind: parts[3]}
	if len(parts) > 4 {
		p.Body = parts[4:]
	}
	return p
}

// A listener collects what is published on a channel.
type listener struct {
	mu   sync.Mutex
	msgs []string
}

// listen subscribes, and is sure to be subscribed when it returns.
func listen(t *testing.T, address string, sharded bool, channel string) *listener {
	t.Helper()
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{address}, ForceSingleClient: true, DisableCache: true})
	if err != nil {
		t.Fatal(err)
	}
	l := &listener{}
	ctx, cancel := context.WithCancel(t.Context())
	ready := make(chan struct{})
	conn, release := c.Dedicate()
	gone := conn.SetPubSubHooks(rueidis.PubSubHooks{
		OnMessage: func(m rueidis.PubSubMessage) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.msgs = append(l.msgs, m.Message)
		},
		OnSubscription: func(rueidis.PubSubSubscription) { close(ready) },
	})
	subscribe := conn.B().Subscribe().Channel(channel).Build()
	if sharded {
		subscribe = conn.B().Ssubscribe().Channel(channel).Build()
	}
	if err := conn.Do(ctx, subscribe).Error(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		release()
		c.Close()
		<-gone
	})
	<-ready
	return l
}

// wait returns the first n messages.
func (l *listener) wait(t *testing.T, n int) []published {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for {
		l.mu.Lock()
		msgs := slices.Clone(l.msgs)
		l.mu.Unlock()
		if len(msgs) >= n || time.Now().After(deadline) {
			var out []published
			for _, m := range msgs {
				out = append(out, parsePublished(t, m))
			}
			return out
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (l *listener) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.msgs, "\n")
}

func channelOf(t *testing.T, b *redisstore.Store) string {
	t.Helper()
	info, err := b.Info(t.Context())
	if err != nil || info.Epoch == "" {
		t.Fatalf("no epoch: %+v, %v", info, err)
	}
	return "t:changes:" + info.Epoch
}

// numbersOnly takes off writer and sequence, which differ each time.
func numbersOnly(ps []published) []published {
	for i := range ps {
		ps[i].Prev, _, _ = strings.Cut(ps[i].Prev, " ")
		ps[i].Rev, _, _ = strings.Cut(ps[i].Rev, " ")
	}
	return ps
}

func TestPublications(t *testing.T) {
	r := newRig(t)
	l := listen(t, r.srv.Addr(), false, channelOf(t, r.b))
	iso := `"2026-01-25T10:30:00.000Z"`
	big := strings.Repeat("x", 5000)
	pool, order, config := "t:ctl:{"+rigPool+"}", "t:ctl:{t:pool-order}", "t:ctl:{t:config}"
	steps := []struct {
		op   poolkeeper.Op
		want []published
	}{
		{useOp("a", 1), []published{{pool, "0", "1", "state", []string{"a:usageCount", "6", "a:lastUsed", iso}}}},
		{useOp("a", 1), []published{{pool, "1", "2", "state", []string{"a:usageCount", "7"}}}}, // at the same time
		{poolOp(poolkeeper.OpReset, "b"), []published{{pool, "2", "3", "state", []string{
			"b:errorCount", "0", "b:refreshCount", "0", "b:lastErrorTime", "null", "b:isHealthy", "true", "b:lastErrorMessage", "null",
			"b:needsRefresh", "false", "b:scheduledRecoveryTime", "null", "b:decidedAt", fmt.Sprint(rigAt)}}}},
		{defineOp(poolkeeper.OpAddProvider, "d", ""), []published{{pool, "3", "4", "provider", []string{"set", "d", "", `{"uuid":"d"}`}}}},
		{defineOp(poolkeeper.OpPutProvider, "d", `,"usageCount":9`), []published{{pool, "4", "5", "provider", []string{"put", "d", "", `{"uuid":"d","usageCount":9}`,
			"d:usageCount", ""}}}}, // the effective counter stays: absent
		{defineOp(poolkeeper.OpPutProvider, "b", `,"x":"`+big+`"`), []published{{pool, "5", "6", "provider", []string{"put", "b", "", ""}}}},
		{poolkeeper.Op{Kind: poolkeeper.OpRenameProvider, Key: kiro, ID: "d", NewID: "e"}, []published{{pool, "6", "7", "provider",
			[]string{"rename", "d", "e", `{"uuid":"e","usageCount":9}`}}}},
		{poolOp(poolkeeper.OpDeleteProvider, "e"), []published{{pool, "7", "8", "provider", []string{"delete", "e", "", ""}}}},
		{poolkeeper.Op{Kind: poolkeeper.OpReorderPool, Key: kiro, Order: []string{"c", "b", "a"}}, []published{{pool, "8", "9", "reorder", nil}}},
		{replaceOp("a", "z"), []published{{pool, "9", "10", "replace", nil}}},
		{patchOp(poolkeeper.ConfigKey, `{"secret":"never"}`), []published{{config, "0", "1", "value", []string{""}}}},
		{poolkeeper.Op{Kind: poolkeeper.OpAddProvider, Key: poolkeeper.PoolKey("n"), ID: "n", Data: []byte(`{"uuid":"n"}`)}, []published{
			{order, "0", "1", "types", nil}, {"t:ctl:{t:pools:n}", "0", "1", "provider", []string{"set", "n", "", `{"uuid":"n"}`}}}},
		{poolkeeper.Op{Kind: poolkeeper.OpReorderTypes, Key: poolkeeper.TypesKey, Order: []string{"n", "kiro"}}, []published{{order, "1", "2", "types", nil}}},
		{poolkeeper.Op{Kind: poolkeeper.OpDeletePool, Key: kiro}, []published{{pool, "10", "11", "delete", nil}, {order, "2", "3", "types", nil}}},
	}
	var want []published
	for _, s := range steps {
		r.must(r.b, s.op)
		want = append(want, s.want...)
	}
	raw := l.wait(t, len(want))
	last := map[string]string{}
	for _, p := range raw { // without a gap, and by this writer
		if prev := last[p.Key]; prev != "" && prev != p.Prev {
			t.Errorf("%s: the change to %q says that %q was before it, not %q", p.Key, p.Rev, p.Prev, prev)
		}
		last[p.Key] = p.Rev
	}
	for k, rev := range last {
		if got := r.srv.DoString("HGET", k, "rev"); got != rev {
			t.Errorf("%s has the revision %q; the last that was published is %q", k, got, rev)
		}
	}
	if d := cmp.Diff(want, numbersOnly(raw)); d != "" {
		t.Errorf("publications (-want +got):\n%s", d)
	}
}

// An op that changes nothing is not published, one that is refused neither.
func TestNothingIsPublishedForNothing(t *testing.T) {
	r := newRig(t)
	l := listen(t, r.srv.Addr(), false, channelOf(t, r.b))
	r.must(r.b, putOp(poolkeeper.ConfigKey, `{"a": 1}`))
	r.must(r.b, defineOp(poolkeeper.OpPutProvider, "b", ""))
	r.must(r.b, poolkeeper.Op{Kind: poolkeeper.OpReorderPool, Key: kiro, Order: []string{"a", "b", "c"}})
	r.refused(r.b, useOp("none", 1), poolkeeper.ErrNotFound)
	r.refused(r.b, deleteOp(poolkeeper.PasswordKey), poolkeeper.ErrNotFound)
	r.must(r.b, useOp("a", 1))
	if got := numbersOnly(l.wait(t, 1)); len(got) != 1 || got[0].Prev != "0" || got[0].Rev != "1" {
		t.Errorf("published: %+v", got)
	}
}

// Secrets and big values are announced by name and revision only.
func TestSecretsAreNotPublished(t *testing.T) {
	r := newRig(t)
	l := listen(t, r.srv.Addr(), false, channelOf(t, r.b))
	const secret = "s3cret"
	session := putOp(poolkeeper.SessionKey(poolkeeper.SessionName("b")), string(poolkeeper.EncodeSession(secret, []byte("{}"))))
	session.ExpiresAt = time.Now().Add(time.Hour).UnixMilli()
	for _, op := range []poolkeeper.Op{
		putOp(poolkeeper.TokenKey(poolkeeper.Ref{Type: "kiro", ID: "a"}), `{"refreshToken":"s3cret"}`),
		putOp(poolkeeper.PasswordKey, secret), session,
		putOp(poolkeeper.ConfigKey, `{"REQUIRED_API_KEY":"s3cret"}`),
		putOp(poolkeeper.DocumentKey("d.json"), `{"x":"s3cret"}`),
		putOp(poolkeeper.FileKey("configs/f"), secret),
	} {
		r.must(r.b, op)
	}
	got := l.wait(t, 6)
	if len(got) != 6 {
		t.Fatalf("%d publications, want 6: %+v", len(got), got)
	}
	for _, p := range got {
		if p.Kind != "value" {
			t.Errorf("kind %q, want value: %+v", p.Kind, p)
		}
	}
	if got[5].Body[0] != "configs/f" {
		t.Errorf("a file is announced without its path: %+v", got[5])
	}
	if strings.Contains(l.text(), secret) {
		t.Errorf("a secret was published:\n%s", l.text())
	}
}

// The publication of a state can be read whatever stands in an id.
func TestPublishedStateIsUnambiguous(t *testing.T) {
	r := newRig(t)
	id := "x:usageCount,\"1\",1:a,1:b\x01"
	r.must(r.b, poolkeeper.Op{Kind: poolkeeper.OpAddProvider, Key: kiro, ID: id, Data: append(append([]byte(`{"uuid":`), rawjson.Quote(id)...), '}')})
	l := listen(t, r.srv.Addr(), false, channelOf(t, r.b))
	r.must(r.b, useOp(id, 1))
	want := []string{id + ":usageCount", "1", id + ":lastUsed", `"2026-01-25T10:30:00.000Z"`}
	if got := l.wait(t, 1); len(got) != 1 || !slices.Equal(got[0].Body, want) {
		t.Errorf("published: %q", got)
	}
}

// A batch is published once, however often it was sent.
func TestPublishedOnce(t *testing.T) {
	r := newRig(t)
	proxy, b := r.proxied()
	r.must(b, useOp("a", 1))
	l := listen(t, r.srv.Addr(), false, channelOf(t, b))
	proxy.CutAfterRequest(3, "EVALSHA")
	r.must(b, useOp("a", 1))
	r.must(b, useOp("a", 1))
	if got := numbersOnly(l.wait(t, 2)); len(got) != 2 || got[0].Rev != "2" || got[1].Rev != "3" {
		t.Errorf("published: %+v", got)
	}
	if n := proxy.Counts()[redistest.FaultCutAfter]; n != 3 {
		t.Errorf("%d replies were cut, want 3", n)
	}
}

func TestPublicationsOnCluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3)
	b, err := redisstore.Open(t.Context(), c.URL(), &redisstore.Options{Prefix: rigPrefix})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.Restore(t.Context(), rigSnapshot()); err != nil {
		t.Fatal(err)
	}
	l := listen(t, c.NodeFor(rigPool).Addr(), true, channelOf(t, b)+":{"+rigPool+"}")
	if res := b.Apply(t.Context(), useOp("a", 1))[0]; res.Err != nil {
		t.Fatal(res.Err)
	}
	if got := numbersOnly(l.wait(t, 1)); len(got) != 1 || got[0].Kind != "state" || got[0].Rev != "1" {
		t.Errorf("published: %+v", got)
	}
	// The siblings of a key are on its node.
	keys := c.NodeFor(rigPool).Keys("t:*{" + rigPool + "}*")
	if want := []string{"t:ctl:{" + rigPool + "}", "t:order:{" + rigPool + "}", "t:state:{" + rigPool + "}"}; !slices.Equal(keys, want) {
		t.Errorf("siblings on the node of the pool: %q", keys)
	}
}
