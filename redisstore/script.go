package redisstore

import (
	"context"
	"crypto/sha1"
	"embed"
	"encoding/hex"

	"github.com/redis/rueidis"
)

//go:embed lua/*.lua
var luaFiles embed.FS

// A script is Lua source with its SHA-1.
type script struct{ name, source, sha string }

func newScript(name string, files ...string) *script {
	var source []byte
	for _, f := range files {
		b, err := luaFiles.ReadFile("lua/" + f + ".lua")
		if err != nil {
			panic(err) // the files are compiled in
		}
		source = append(source, b...)
	}
	sum := sha1.Sum(source)
	return &script{name, string(source), hex.EncodeToString(sum[:])}
}

var (
	usageScript    = newScript("usage", "table", "prelude", "count", "usage")
	keyedScript    = newScript("keyed", "table", "prelude", "count", "keyed")
	decideScript   = newScript("decide", "table", "prelude", "count", "decide")
	providerScript = newScript("provider", "table", "prelude", "held", "provider")
	turnScript     = newScript("turn", "prelude", "turn")
	swapScript     = newScript("swap", "table", "prelude", "held", "swap")
	valueScript    = newScript("value", "prelude", "value")
	typesScript    = newScript("types", "prelude", "types")
	holdScript     = newScript("hold", "hold")
	carryScript    = newScript("carry", "carry")
	sweepScript    = newScript("sweep", "sweep")
	readScript     = newScript("provider_read", "provider_read")
	commitScript   = newScript("commit", "commit")
	markScript     = newScript("mark", "mark")
	placeScript    = newScript("place", "place")
	claimScript    = newScript("claim", "claim")
	backScript     = newScript("back", "table", "back")
)

// run executes a script by its SHA-1, and by its source where the server does
// not know it. NOSCRIPT is answered before anything is executed, so sending it
// again is safe. The answer is a text.
func (s *script) run(ctx context.Context, c rueidis.Client, keys, args []string) (string, error) {
	return s.do(ctx, c, keys, args).ToString()
}

// do is run for an answer of any form.
func (s *script) do(ctx context.Context, c rueidis.Client, keys, args []string) rueidis.RedisResult {
	res := c.Do(ctx, c.B().Evalsha().Sha1(s.sha).Numkeys(int64(len(keys))).Key(keys...).Arg(args...).Build())
	if re, ok := rueidis.IsRedisErr(res.Error()); ok && re.IsNoScript() {
		return c.Do(ctx, c.B().Eval().Script(s.source).Numkeys(int64(len(keys))).Key(keys...).Arg(args...).Build())
	}
	return res
}

// contentSHA is the SHA-1 of a value, as redis.sha1hex gives it: it tells
// whether a value is still the one that was seen.
func contentSHA(b []byte) string {
	sum := sha1.Sum(b)
	return hex.EncodeToString(sum[:])
}
