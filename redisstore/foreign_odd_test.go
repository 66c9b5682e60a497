package redisstore_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/memstore"
	"github.com/poolkeeper/poolkeeper/redisstore"
	"github.com/poolkeeper/poolkeeper/storetest"
)

// What cannot be taken whole is refused by its name, without its content, and
// nothing is changed by it, in place neither.
func TestForeignRefusals(t *testing.T) {
	long := strings.Repeat("x", 300)
	for name, c := range map[string]struct {
		cmd   []string
		err   error
		names string
	}{
		"pool of another type":   {[]string{"SET", "pools:x", "FAKE"}, poolkeeper.ErrInvalid, "pools:x"},
		"types of another type":  {[]string{"SET", "pool-types", "FAKE"}, poolkeeper.ErrInvalid, "pool-types"},
		"token of another type":  {[]string{"HSET", "tokens:x:1", "a", "FAKE"}, poolkeeper.ErrInvalid, "tokens:x:1"},
		"config of another type": {[]string{"RPUSH", "config", "FAKE"}, poolkeeper.ErrInvalid, "config"},
		"pwd of another type":    {[]string{"SADD", "pwd", "FAKE"}, poolkeeper.ErrInvalid, "pwd"},
		"plugins of another":     {[]string{"ZADD", "plugins", "1", "FAKE"}, poolkeeper.ErrInvalid, "plugins"},
		"session of another":     {[]string{"SADD", "sessions:743c7e67", "FAKE"}, poolkeeper.ErrInvalid, "sessions:…"},
		"counter of another":     {[]string{"SADD", "counters:x:1:usageCount", "1"}, poolkeeper.ErrInvalid, "counters:x:1:usageCount"},
		"definition cut off":     {[]string{"HSET", "pools:x", "a", `{"uuid":"a","k":"FAKE`}, poolkeeper.ErrInvalid, "pools:x a"},
		"definition no object":   {[]string{"HSET", "pools:x", "a", `["FAKE"]`}, poolkeeper.ErrInvalid, "pools:x a"},
		"definition empty":       {[]string{"HSET", "pools:x", "", ``}, poolkeeper.ErrInvalid, `pools:x ""`},
		"definition too large":   {[]string{"HSET", "pools:x", "a", `{"k":"` + strings.Repeat("x", 1<<20) + `"}`}, poolkeeper.ErrTooLarge, "pools:x a"},
		"configuration no JSON":  {[]string{"SET", "config", `{"k":"FAKE",}`}, poolkeeper.ErrInvalid, "config"},
		"configuration no object": {[]string{"SET", "config", `[]`}, poolkeeper.ErrInvalid,
			"config"},
		"password too long": {[]string{"SET", "pwd", strings.Repeat("admin123", 1000)}, poolkeeper.ErrTooLarge, "pwd"},
		"type too long":     {[]string{"HSET", "pools:" + long, "a", `{}`}, poolkeeper.ErrTooLarge, "pools:xxx"},
		"type no UTF-8":     {[]string{"HSET", "pools:\xff", "a", `{}`}, poolkeeper.ErrInvalid, `"pools:\xff"`},
		"listed no UTF-8":   {[]string{"SADD", "pool-types", "\xff"}, poolkeeper.ErrInvalid, "pool-types"},
		"names that clash":  {[]string{"HSET", "pools:a%3Ab", "a", `{}`}, poolkeeper.ErrInvalid, "pools:a%3Ab"},
		"a key of ours":     {[]string{"HSET", "state:{aiclient:pools:x}", "a:usageCount", "1"}, poolkeeper.ErrDamaged, "meta"},
		"an order of ours":  {[]string{"RPUSH", "pool-order", "x"}, poolkeeper.ErrDamaged, "meta"},
		"files of ours":     {[]string{"HSET", "files", "x", "FAKE"}, poolkeeper.ErrDamaged, "meta"},
		"a document":        {[]string{"SET", "doc:x.json", "FAKE"}, poolkeeper.ErrDamaged, "meta"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := append([]string{}, c.cmd...)
			cmd[1] = "aiclient:" + cmd[1]
			cmds := append(forkCommands(t), []string{"HSET", "aiclient:pools:a:b", "a", `{"uuid":"a"}`}, []string{"DEL", cmd[1]}, cmd)
			r := forkRig(t, cmds)
			r.unchanged(name, func() {
				_, _, err := r.b.LoadForeign(t.Context())
				for _, err := range []error{err, r.b.Adopt(t.Context(), rigSnapshot())} {
					if !errors.Is(err, c.err) || !strings.Contains(fmt.Sprint(err), c.names) {
						t.Errorf("error %v, want %v that names %s", err, c.err, c.names)
					}
					for _, secret := range []string{"FAKE", "743c7e67", "admin123"} {
						if strings.Contains(fmt.Sprint(err), secret) {
							t.Errorf("the error has the secret %s", secret)
						}
					}
				}
			})
		})
	}
}

// A meta key of another type is named when the store is opened.
func TestForeignMetaOfAnotherType(t *testing.T) {
	srv := redistest.Start(t)
	srv.DoString("SET", "aiclient:meta", "FAKE")
	b, err := redisstore.Open(t.Context(), srv.SocketURL(), nil)
	if err == nil {
		b.Close()
	}
	if !errors.Is(err, poolkeeper.ErrDamaged) || !strings.Contains(fmt.Sprint(err), "aiclient:meta") {
		t.Errorf("error %v, want ErrDamaged that names aiclient:meta", err)
	}
}

// A session that ends later than an op can say ends as late as that, and keeps no
// import from being done.
func TestForeignSessionsFarAway(t *testing.T) {
	const p, last = "aiclient:sessions:", 253402300799999
	r := forkRig(t, [][]string{
		{"SET", p + "last", `{}`, "PXAT", strconv.Itoa(last)},
		{"SET", p + "beyond", `{}`, "PXAT", strconv.Itoa(last + 100_000)},
		{"SET", p + "exact", `{}`, "PXAT", "9007199254740993"},
		{"SET", p + "most", `{}`, "PXAT", "9223372036854775807"},
		{"SET", p + "document", `{"expiryTime":1e400}`},
	})
	snap, _ := r.loadForeign(r.b)
	for _, bearer := range []string{"last", "beyond", "exact", "most", "document"} {
		d, there := snap.Values[poolkeeper.SessionKey(poolkeeper.SessionName(bearer))]
		if !there || d.ExpiresAt > last || d.ExpiresAt < last-1000 { // the clocks differ by a little
			t.Errorf("%q ends at %d, want %d", bearer, d.ExpiresAt, last)
		}
	}
	to := memstore.New(nil)
	if err := to.Restore(t.Context(), snap); err != nil {
		t.Error(err)
	}
}

// What is odd and can be taken is taken, and noted; what nobody knows is left.
func TestForeignOddities(t *testing.T) {
	const p = "aiclient:"
	r := forkRig(t, [][]string{
		{"HSET", p + "pools:x", "a", "{\"uuid\":\"a\",\"k\":\"\xff\"}", "b", `{"n":1}`, "c", `{"uuid":null}`, "d", `{"uuid":"e"}`, "e", `{"uuid":"e"}`},
		{"HSET", p + "pools:x", "\xff\x00", `{"uuid":"f","supportedModels":{ },"notSupportedModels":{"a":1},"list":{}}`},
		{"HSET", p + "pools:x", "n", `{"uuid":"n","a":[1.2345678901234e+14,-1e+20],"b":{"c":1e+15},"no":[1e+21,1e14,1.0e+13,123456789012345,"1e+15",1.23456789012345e+16]}`},
		{"HSET", p + "pools:team:blue", "1", `{"uuid":"1","KIRO_OAUTH_CREDS_FILE_PATH":"./configs/kiro/77_kiro/77_kiro.json"}`},
		{"SADD", p + "pool-types", "listed", "x", ""},
		{"SET", p + "tokens:team:blue:77", `{"accessToken":"FAKE-77"}`},              // by its folder
		{"SET", p + "tokens:x:b", "\x00\xff"},                                        // no JSON
		{"SET", p + "tokens:x:", `{}`},                                               // no id
		{"SET", p + "tokens:only-a-type", `{}`},                                      // no id
		{"SET", p + "tokens:x:\xff", `{}`},                                           // no UTF-8
		{"SET", p + "tokens:x:gone", `{"accessToken":"FAKE-gone"}`},                  // nobody's
		{"SET", p + "sessions:a:b c", `{"username":"u"}`},                            // never ends
		{"SET", p + "sessions:ended", `{"expiryTime":1000}`},                         // ended by its document
		{"SETEX", p + "sessions:743c7e67", "100", `{"username":`},                    // no JSON
		{"SETEX", p + "sessions:" + strings.Repeat("743c7e67", 200), "100", `{}`},    // too long
		{"SET", p + "counters:team:blue:1:usageCount", "7"},                          //
		{"SET", p + "counters:x:a:usageCount", "many"},                               //
		{"SET", p + "counters:x:nobody:usageCount", "1"},                             //
		{"SET", p + "counters:x:a:other", "1"},                                       //
		{"SET", p + "usage:cache", `{`},                                              //
		{"SET", p + "config", `{"PROVIDER_POOLS_FILE_PATH":"./configs/other.json"}`}, //
		{"LPUSH", p + "queue:743c7e67", "x"},                                         // a key of nobody's
		{"SET", p + "743c7e67743c7e67743c7e67743c7e67", "x"},                         //
		{"XADD", p + "events", "1-1", "a", "b"},                                      //
		{"HSET", p + "kiro:round-robin-counter", "a", "b"},                           // of another type, and nothing to keep
	})
	snap, notes := r.loadForeign(r.b)
	for _, n := range notes {
		if strings.Contains(n.Key+n.Where+n.Text, "743c7e67") {
			t.Errorf("a note has a bearer: %v", n)
		}
	}
	if got := fmt.Sprintf("%q", snap.Types); got != `["" "listed" "team:blue" "x"]` {
		t.Errorf("types %s", got)
	}
	def := func(typ, id string) string {
		if p := snap.Provider(poolkeeper.Ref{Type: typ, ID: id}); p != nil {
			return string(p.Definition)
		}
		return "none"
	}
	for id, want := range map[string]string{
		"a": "{\"uuid\":\"a\",\"k\":\"\xff\"}", "b": `{"n":1,"uuid":"b"}`, "c": `{"uuid":"c"}`, "e": `{"uuid":"e"}`,
		"f": `{"uuid":"f","supportedModels":[],"notSupportedModels":{"a":1},"list":{}}`,
	} {
		if got := def("x", id); got != want {
			t.Errorf("%s is %q, want %q", id, got, want)
		}
	}
	if n := len(snap.Pools["x"].Providers); n != 7 {
		t.Errorf("%d providers in x, want 7", n)
	}
	blue := poolkeeper.Ref{Type: "team:blue", ID: "1"}
	if d, _ := snap.Token(blue); string(d.Data) != `{"accessToken":"FAKE-77"}` || snap.Provider(blue).Count(poolkeeper.UsageCount) != 7 {
		t.Errorf("token %q, count %d of %s", d.Data, snap.Provider(blue).Count(poolkeeper.UsageCount), blue)
	}
	if d, _ := snap.Token(poolkeeper.Ref{Type: "x", ID: "b"}); string(d.Data) != "\x00\xff" {
		t.Errorf("token of b: %q", d.Data)
	}
	if _, ok := snap.Token(poolkeeper.Ref{Type: "x", ID: "gone"}); !ok {
		t.Error("a token that nobody has is gone")
	}
	if n := len(snap.KeysOf(poolkeeper.KindSession)); n != 1 {
		t.Errorf("%d sessions, want 1", n)
	}
	for _, n := range [][3]string{
		{"pools:x", "a", "utf8"}, {"pools:x", "b", "uuid"}, {"pools:x", "c", "uuid"}, {"pools:x", "d", "uuid"},
		{"pools:x", `"\xff\x00"`, "uuid"}, {"pools:x", `"\xff\x00".supportedModels`, "list"},
		{"pools:x", "n.a", "number"}, {"pools:x", "n.b.c", "number"},
		{"tokens:team:blue:77", "", "token"}, {"tokens:x:b", "", "token-object"}, {"tokens:x:gone", "", "token-orphan"},
		{"tokens:x:", "", "token-orphan"}, {"tokens:only-a-type", "", "token-orphan"}, {`"tokens:x:\xff"`, "", "token-orphan"},
		{"sessions:…", "", "session"}, {"usage:cache", "", "document"}, {"config", "PROVIDER_POOLS_FILE_PATH", "config"},
		{"counters:team:blue:1:usageCount", "", "counter"}, {"counters:x:a:usageCount", "", "counter"},
		{"counters:x:nobody:usageCount", "", "counter"}, {"counters:x:a:other", "", "counter"},
		{"queue:…", "", "unknown"}, {"a long name", "", "unknown"}, {"events", "", "unknown"}, {"kiro:round-robin-counter", "", "ignored"},
	} {
		r.noted(notes, n[0], n[1], n[2])
	}
	for _, n := range notes {
		if n.Code == "number" && strings.Contains(n.Where, "no") {
			t.Errorf("%s is no number that was cut", n.Where)
		}
	}

	// In place, what was left is there yet.
	left := []string{"tokens:only-a-type", "tokens:x:", "tokens:x:\xff", "sessions:743c7e67", "queue:743c7e67", "events", "743c7e67743c7e67743c7e67743c7e67"}
	before := r.srv.Dump()
	if err := r.b.Adopt(t.Context(), snap); err != nil {
		t.Fatal(err)
	}
	after := r.srv.Dump()
	for _, k := range left {
		if before[p+k] == "" || after[p+k] != before[p+k] {
			t.Errorf("%q was %q, is %q", k, before[p+k], after[p+k])
		}
	}
	got, err := r.b.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := storetest.Diff(snap, got); d != "" {
		t.Errorf("in place:\n%s", d)
	}
}

// Of the tokens that a provider has, the one that expires last counts; none is
// lost.
func TestForeignTokensOfOneProvider(t *testing.T) {
	const p, old, late = "aiclient:", `{"expired":"2026-01-01T00:00:00Z"}`, `{"expired":"2026-02-01T00:00:00Z"}`
	path := `,"CODEX_OAUTH_CREDS_FILE_PATH":"configs/codex/s.json"}`
	r := forkRig(t, [][]string{
		{"HSET", p + "pools:c-oauth", "1", `{"uuid":"1"}`, "2", `{"uuid":"2"}`, "3", `{"uuid":"3","X_TOKEN_FILE_PATH":"redis:tokens:c-oauth:former"}`},
		{"SET", p + "tokens:c-oauth:1", old}, {"SET", p + "tokens:c:1", late},
		{"SET", p + "tokens:c-oauth:2", late + " "}, {"SET", p + "tokens:c:2", old + " "},
		{"SET", p + "tokens:c-oauth:former", `{"former":1}`},
		// One file, and a token for each of those who share it.
		{"HSET", p + "pools:s", "1", `{"uuid":"1"` + path, "2", `{"uuid":"2"` + path, "3", `{"uuid":"3"` + path, "4", `{"uuid":"4"` + path},
		{"SET", p + "tokens:s:1", `{"expiry_date":1000}`}, {"SET", p + "tokens:s:2", `{"expiry_date":3000}`}, {"SET", p + "tokens:s:3", `{"expiry_date":3000}`},
	})
	want := map[poolkeeper.Ref]string{
		{Type: "c-oauth", ID: "1"}: late, {Type: "c-oauth", ID: "1.old"}: old,
		{Type: "c-oauth", ID: "2"}: late + " ", {Type: "c", ID: "2"}: old + " ",
		{Type: "c-oauth", ID: "3"}: `{"former":1}`,
		{Type: "s", ID: "1"}:       `{"expiry_date":1000}`, {Type: "s", ID: "2"}: `{"expiry_date":3000}`,
	}
	snap, notes := r.loadForeign(r.b)
	for ref, data := range want {
		if d, _ := snap.Token(ref); string(d.Data) != data {
			t.Errorf("token of %s is %q, want %q", ref, d.Data, data)
		}
	}
	if n := len(snap.KeysOf(poolkeeper.KindToken)); n != len(want) {
		t.Errorf("%d tokens, want %d", n, len(want))
	}
	owner := poolkeeper.EncodeTokenOwner(poolkeeper.Ref{Type: "s", ID: "2"})
	if d := snap.Values[poolkeeper.TokenRefKey("configs/codex/s.json")]; string(d.Data) != string(owner) {
		t.Errorf("the shared file is owned by %s", d.Data)
	}
	r.noted(notes, "tokens:s:1", "", "token")
	r.noted(notes, "tokens:s:3", "", "token-duplicate")
	if err := r.b.Adopt(t.Context(), snap); err != nil {
		t.Fatal(err)
	}
	if got, err := r.b.Load(t.Context()); err != nil {
		t.Fatal(err)
	} else if d := storetest.Diff(snap, got); d != "" {
		t.Errorf("in place:\n%s", d)
	}
}

// The Go variant writes fewer fields, and times without milliseconds.
func TestForeignGoVariant(t *testing.T) {
	const p = "aiclient:"
	def := `{"uuid":"g","isHealthy":false,"isDisabled":false,"lastUsed":"2026-01-27T08:00:00Z","usageCount":41,"errorCount":3,"lastErrorTime":"2026-01-27T08:00:01+08:00"}`
	r := forkRig(t, [][]string{
		{"HSET", p + "pools:claude-kiro-oauth", "g", def}, {"SADD", p + "pool-types", "claude-kiro-oauth"},
		{"SET", p + "tokens:claude-kiro-oauth:g", `{"accessToken":"FAKE-g","refreshToken":"FAKE-g","expiresAt":"2026-06-01T00:00:00Z"}`},
		{"INCRBY", p + "kiro:round-robin-counter", "3"}, {"HSET", p + "meta", "initializedAt", "2026-01-27", "initializedFrom", "go"},
	})
	snap, _ := r.loadForeign(r.b)
	if err := r.b.Adopt(t.Context(), snap); err != nil {
		t.Fatal(err)
	}
	ref := poolkeeper.Ref{Type: "claude-kiro-oauth", ID: "g"}
	got, err := r.b.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if pr := got.Provider(ref); string(pr.Definition) != def || pr.Healthy() || got.Meta["initializedFrom"] != "go" {
		t.Errorf("%s, meta %v", pr.Definition, got.Meta)
	}
	if _, ok := got.Token(ref); !ok {
		t.Error("no token")
	}
	res := r.must(r.b, poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: poolkeeper.PoolKey(ref.Type), ID: "g", N: 1, At: rigAt})
	if res.Count != 42 {
		t.Errorf("it counts %d, want 42", res.Count)
	}
}

// bigFork is a fork with many providers, each with what Lua does to lists.
func bigFork(n int) (cmds [][]string) {
	const p = "aiclient:"
	pad := strings.Repeat("x", 400)
	for i := range n {
		id := fmt.Sprintf("%08x-0000-4000-8000-000000000000", i*7919)
		cmds = append(cmds,
			[]string{"HSET", p + "pools:" + forkKiro, id, `{"uuid":"` + id + `","notSupportedModels":{},"usageCount":` + fmt.Sprint(i) + `,"pad":"` + pad + `"}`},
			[]string{"SETEX", p + "tokens:" + forkKiro + ":" + id, "1000", `{"accessToken":"FAKE-` + id + `"}`})
	}
	return cmds
}

// Many providers are read and converted, and what all have is noted of some.
func TestForeignOfManyProviders(t *testing.T) {
	const n = 10_000
	r := forkRig(t, bigFork(n))
	snap, notes := r.loadForeign(r.b)
	if len(notes) > 50 {
		t.Errorf("%d notes", len(notes))
	}
	if p := snap.Pools[forkKiro]; len(p.Providers) != n || len(snap.KeysOf(poolkeeper.KindToken)) != n {
		t.Fatalf("%d providers", len(p.Providers))
	}
	if err := r.b.Adopt(t.Context(), snap); err != nil {
		t.Fatal(err)
	}
	got, err := r.b.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := storetest.Diff(snap, got); d != "" {
		t.Errorf("in place:\n%.2000s", d)
	}
}

// A foreign store on a cluster, where keys are on many servers.
func TestForeignOnCluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3)
	for _, cmd := range forkStore(t) {
		if _, err := c.Do(cmd[1], cmd...); err != nil {
			t.Fatal(err)
		}
	}
	r := &rig{T: t}
	b := r.open(c.URL(), forkPrefix)
	before := redistest.Hash(c.Dump())
	snap, _, err := b.LoadForeign(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if redistest.Hash(c.Dump()) != before {
		t.Error("reading changed something")
	}
	if err := b.Adopt(t.Context(), snap); err != nil {
		t.Fatal(err)
	}
	got, err := r.open(c.URL(), forkPrefix).Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := storetest.Diff(snap, got); d != "" {
		t.Errorf("in place:\n%s", d)
	}
	sameContents(t, "on a cluster", adopted(t, forkStore(t)), contents(got))
	if keys := append(c.Keys("*743c7e67*"), c.Keys("aiclient:leftovers*")...); len(keys) != 0 {
		t.Errorf("there are still %q", keys)
	}
}
