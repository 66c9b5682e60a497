package redisstore_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

const month = 30 * 24 * time.Hour

// What is in Redis after a fixed set of ops, read without Poolkeeper.
func TestLayout(t *testing.T) {
	r := newRig(t)
	odd := poolkeeper.PoolKey("a%b{c}:d")
	bearer := "bearer-1"
	session := poolkeeper.SessionKey(poolkeeper.SessionName(bearer))
	ends := time.Now().Add(time.Hour).UnixMilli()
	message := "bad \"thing\""
	fail := errorOp("b")
	fail.Message = &message
	put := putOp(session, `{"bearer":"bearer-1","session":{"x":1}}`)
	put.ExpiresAt = ends
	add := defineOp(poolkeeper.OpAddProvider, "x:{%}", "")
	add.Key = odd
	use := useOp("x:{%}", 2)
	use.Key = odd
	owner := poolkeeper.TokenRefKey("configs/kiro/t.json")
	for _, op := range []poolkeeper.Op{
		useOp("a", 3), useOp("a", 4), useOp("b", 1), fail, add, use,
		putOp(poolkeeper.TokenKey(poolkeeper.Ref{Type: "kiro", ID: "a"}), `{"refreshToken": "t"}`),
		putOp(poolkeeper.TokenKey(poolkeeper.Ref{Type: "a%b{c}:d", ID: "x:{%}"}), `{}`),
		putOp(owner, `["kiro","a"]`),
		putOp(poolkeeper.PasswordKey, "pw"),
		putOp(poolkeeper.DocumentKey("plugins.json"), "{}"),
		putOp(poolkeeper.DocumentKey("usage-cache.json"), "[]"),
		putOp(poolkeeper.DocumentKey("x{y}.json"), "1"),
		putOp(poolkeeper.FileKey("configs/a.txt"), "bytes\x00\xff"),
		put,
	} {
		r.must(r.b, op)
	}
	iso := `"2026-01-25T10:30:00.000Z"`
	const oddPool = "t:pools:a%25b%7Bc%7D%3Ad"
	want := map[string]string{
		"t:config":                              `string "{\"a\": 1}"`,
		"t:pwd":                                 `string "pw"`,
		rigPool:                                 `hash ["a"="{\"uuid\":\"a\",\"usageCount\":5}" "b"="{\"uuid\":\"b\"}" "c"="{\"uuid\":\"c\",\"x\":[1.0, 1e2]}"]`,
		oddPool:                                 `hash ["x:{%}"="{\"uuid\":\"x:{%}\"}"]`,
		"t:tokens:kiro:a":                       `string "{\"refreshToken\": \"t\"}"`,
		"t:token-refs":                          `hash ["configs/kiro/t.json"="[\"kiro\",\"a\"]"]`,
		"t:plugins":                             `string "{}"`,
		"t:usage:cache":                         `string "[]"`,
		"t:doc:x%7By%7D.json":                   `string "1"`,
		"t:files":                               `hash ["configs/a.txt"="bytes\x00\xff"]`,
		"t:pool-order":                          `list ["kiro" "a%b{c}:d"]`,
		"t:pool-types":                          `set ["a%b{c}:d" "kiro"]`,
		"t:tokens:a%25b%7Bc%7D%3Ad:x:%7B%25%7D": `string "{}"`,
		"t:sessions:" + session.Name:            `string ttl "{\"bearer\":\"bearer-1\",\"session\":{\"x\":1}}"`,
		"t:order:{" + rigPool + "}":             `zset ["a"="0" "b"="1" "c"="2"]`,
		"t:order:{" + oddPool + "}":             `zset ["x:{%}"="0"]`,
		"t:state:{" + oddPool + "}": fmt.Sprintf("hash [%q=%q %q=%q %q=%q]",
			tableMark, "", "x:{%}:lastUsed", iso, "x:{%}:usageCount", "2"),
	}
	got := r.srv.Dump()
	state := r.srv.HGetAll("t:state:{" + rigPool + "}")
	wantState := map[string]string{
		"a:usageCount": "12", "a:lastUsed": iso,
		"b:usageCount": "1", "b:lastUsed": iso, "b:errorCount": "1", "b:lastErrorTime": iso,
		"b:lastErrorMessage": `"bad \"thing\""`, "b:needsRefresh": "false", "b:refreshCount": "0",
		"b:decidedAt": fmt.Sprint(rigAt),
		tableMark:     "",
	}
	if d := cmp.Diff(wantState, state); d != "" {
		t.Errorf("state of the pool (-want +got):\n%s", d)
	}
	delete(got, "t:state:{"+rigPool+"}")
	var helpers []string
	for k := range got {
		if strings.HasPrefix(k, "t:ctl:{") {
			helpers = append(helpers, k)
			delete(got, k)
		}
	}
	meta := r.srv.HGetAll("t:meta")
	delete(got, "t:meta")
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("what is in Redis (-want +got):\n%s", d)
	}
	epoch := meta["epoch"]
	if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(epoch) || meta["schema"] != "1" || meta["minWriter"] != "1" || len(meta) != 3 {
		t.Errorf("meta: %v", meta)
	}

	info, err := r.b.Info(t.Context())
	if err != nil || info.Epoch != epoch {
		t.Errorf("Info: epoch %q, error %v; want %q", info.Epoch, err, epoch)
	}
	revision := regexp.MustCompile(`^\d+ ` + info.Writer + ` \d+$`)
	results := regexp.MustCompile(`^\d+ \d{13} (0|\d+ ` + info.Writer + ` \d+);`)
	for _, k := range helpers {
		ctl := r.srv.HGetAll(k)
		for f, v := range ctl {
			ok := false
			switch {
			case f == "epoch":
				ok = v == epoch
			case f == "rev", f == "srev":
				ok = revision.MatchString(v)
			case f == "w:"+info.Writer:
				ok = results.MatchString(v)
			case f == "at":
				ok = regexp.MustCompile(`^\d{13} ` + info.Writer + `$`).MatchString(v)
			case f == "dead", f == "counted":
				ok = v == "1"
			case f == "expiry":
				ok = v == fmt.Sprint(ends)
			}
			if !ok {
				t.Errorf("%s has %s = %q", k, f, v)
			}
		}
		key := strings.TrimSuffix(strings.TrimPrefix(k, "t:ctl:{"), "}")
		if redistest.Slot(k) != redistest.Slot(key) {
			t.Errorf("%s and %s are in two slots", k, key)
		}
		ttl := time.Duration(r.srv.DoInt("PTTL", k)) * time.Millisecond
		if _, expires := ctl["expiry"]; expires {
			if ttl < month || ttl > month+time.Hour {
				t.Errorf("%s of a session lives %v", k, ttl)
			}
		} else if ttl >= 0 {
			t.Errorf("%s has a TTL of %v", k, ttl)
		}
	}
	for _, k := range []string{rigPool, oddPool} {
		for _, kind := range []string{"state", "order", "ctl"} {
			if redistest.Slot("t:"+kind+":{"+k+"}") != redistest.Slot(k) {
				t.Errorf("%s of %s is in another slot", kind, k)
			}
		}
	}
	if ttl := r.srv.DoInt("PEXPIRETIME", "t:sessions:"+session.Name); ttl != ends {
		t.Errorf("the session ends at %d, want %d", ttl, ends)
	}
	if strings.Contains(strings.Join(slices.Collect(maps.Keys(r.srv.Dump())), " "), bearer) {
		t.Error("a bearer is in a key name")
	}
}

// A token never expires, whatever was done to it; nor does anything else but
// sessions.
func TestTokenHasNoTTL(t *testing.T) {
	r := newRig(t)
	token := poolkeeper.TokenKey(poolkeeper.Ref{Type: "kiro", ID: "a"})
	r.must(r.b, putOp(token, `{"a":1}`))
	r.must(r.b, deleteOp(token))
	r.must(r.b, putOp(token, `{"a":2}`))
	r.must(r.b, patchOp(token, `{"b":1}`))
	if ttl := r.srv.DoInt("PTTL", "t:tokens:kiro:a"); ttl != -1 {
		t.Errorf("PTTL of a token is %d, want -1", ttl)
	}
	// What another program put there with a TTL loses it with the next write.
	r.srv.DoInt("PEXPIRE", "t:tokens:kiro:a", "100000")
	r.must(r.b, patchOp(token, `{"b":2}`))
	if ttl := r.srv.DoInt("PTTL", "t:tokens:kiro:a"); ttl != -1 {
		t.Errorf("PTTL of a token that was written again is %d, want -1", ttl)
	}
	for _, k := range []string{"t:ctl:{t:tokens:kiro:a}", "t:config", rigPool, "t:meta"} {
		if ttl := r.srv.DoInt("PTTL", k); ttl != -1 {
			t.Errorf("PTTL of %s is %d, want -1", k, ttl)
		}
	}
}

// What is remembered of a key outlives it, for 30 days.
func TestTombstones(t *testing.T) {
	r := newRig(t)
	token := poolkeeper.TokenKey(poolkeeper.Ref{Type: "kiro", ID: "a"})
	r.must(r.b, putOp(token, "{}"))
	r.must(r.b, deleteOp(token))
	r.must(r.b, useOp("a", 1))
	r.must(r.b, poolkeeper.Op{Kind: poolkeeper.OpDeletePool, Key: kiro})
	for _, k := range []string{"t:ctl:{t:tokens:kiro:a}", "t:ctl:{" + rigPool + "}"} {
		ttl := time.Duration(r.srv.DoInt("PTTL", k)) * time.Millisecond
		if ttl < month-time.Minute || ttl > month {
			t.Errorf("%s lives %v more, want 30 days", k, ttl)
		}
		if rev := r.srv.DoString("HGET", k, "rev"); rev == "" {
			t.Errorf("%s has no revision", k)
		}
	}
	for _, k := range []string{rigPool, "t:state:{" + rigPool + "}", "t:order:{" + rigPool + "}", "t:tokens:kiro:a"} {
		if r.srv.DoInt("EXISTS", k) != 0 {
			t.Errorf("%s is still there", k)
		}
	}
	was := r.revisionOf(rigPool)
	r.must(r.b, defineOp(poolkeeper.OpAddProvider, "a", ""))
	if ttl := r.srv.DoInt("PTTL", "t:ctl:{"+rigPool+"}"); ttl != -1 {
		t.Errorf("ctl of a pool that came back has a PTTL of %d", ttl)
	}
	if now := r.revisionOf(rigPool); len(now) < len(was) || now <= was {
		t.Errorf("the revision went from %s to %s", was, now)
	}
}

// Foreign programs may write to the pool hash and miss its order: what they
// added comes last.
func TestForeignWriterOfAPool(t *testing.T) {
	r := newRig(t)
	r.srv.DoInt("HSET", rigPool, "zz", `{"uuid":"zz","usageCount":7}`)
	r.srv.DoInt("SADD", "t:pool-types", "other")
	r.srv.DoInt("HSET", "t:pools:other", "o", `{"uuid":"o"}`)
	// The name is not the one that the type a:b would have: it is no pool.
	r.srv.DoInt("HSET", "t:pools:a:b", "o", `{"uuid":"o"}`)
	if res := r.must(r.b, useOp("zz", 1)); res.Count != 8 {
		t.Errorf("usageCount of what a foreign program added is %d, want 8", res.Count)
	}
	r.must(r.b, errorOp("zz"))
	snap, err := r.b.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"kiro", "other"}; !slices.Equal(snap.Types, want) {
		t.Errorf("types %q, want %q", snap.Types, want)
	}
	if p := snap.Pools["kiro"]; len(p.Providers) != 4 || p.Providers[3].ID != "zz" {
		t.Errorf("pool kiro: %v", p.Providers)
	}
	r.must(r.b, poolkeeper.Op{Kind: poolkeeper.OpReorderPool, Key: kiro, Order: []string{"zz", "a", "b", "c"}})
	if got := r.srv.DoStrings("ZRANGE", "t:order:{"+rigPool+"}", "0", "-1"); got[0] != "zz" {
		t.Errorf("order %q", got)
	}
}

// TestStateGoesWithTheLastProvider: a pool that has no provider any more has no
// state either, whichever way they were removed.
func TestStateGoesWithTheLastProvider(t *testing.T) {
	r := newRig(t)
	state := "t:state:{" + rigPool + "}"
	there := func(what string, want int64) {
		t.Helper()
		if got := r.srv.DoInt("EXISTS", state, "t:order:{"+rigPool+"}", rigPool); got != want {
			t.Errorf("%s: %d of state, order and pool are there, want %d: %q", what, got, want, r.srv.HGetAll(state))
		}
	}
	remove := func(id string) {
		t.Helper()
		if res := r.try(r.b, poolkeeper.Op{Kind: poolkeeper.OpDeleteProvider, Key: kiro, ID: id, At: rigAt}); res.Err != nil {
			t.Fatal(res.Err)
		}
	}
	use := func(id string, want int64) {
		t.Helper()
		if res := r.try(r.b, useOp(id, 1)); res.Err != nil || res.Count != want {
			t.Fatalf("%s: %+v, want %d", id, res, want)
		}
	}
	use("a", 6)
	use("b", 1)
	remove("a")
	remove("c")
	use("b", 2)
	there("one is left", 3)
	remove("b")
	there("all were removed one by one", 0)

	for _, id := range []string{"a", "b"} {
		if res := r.try(r.b, poolkeeper.Op{Kind: poolkeeper.OpAddProvider, Key: kiro, ID: id, At: rigAt, Data: []byte(`{"uuid":"` + id + `"}`)}); res.Err != nil {
			t.Fatal(res.Err)
		}
		use(id, 1)
	}
	r.srv.DoInt("HSET", "t:ctl:{"+rigPool+"}", "sweep", "1") // as one leaves it that was cut off
	r.srv.DoInt("HSET", state, "gone:usageCount", "7")
	if res := r.try(r.b, poolkeeper.Op{Kind: poolkeeper.OpReplacePool, Key: kiro, At: rigAt}); res.Err != nil {
		t.Fatal(res.Err)
	}
	there("replaced by an empty one", 0)
	if f := r.srv.DoString("HGET", "t:ctl:{"+rigPool+"}", "sweep"); f != "" {
		t.Error("there is nothing to be swept, and it is marked")
	}
}
