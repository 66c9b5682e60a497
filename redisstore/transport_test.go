package redisstore_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
	"github.com/poolkeeper/poolkeeper/redisstore"
	"github.com/poolkeeper/poolkeeper/storetest"
)

func TestConformanceThroughTLS(t *testing.T) {
	srv := redistest.Start(t, redistest.WithTLS(), redistest.WithPassword("s3cret"))
	storetest.Run(t, harness(srv.URL(), srv.TLSConfig()))
}

// Whoever the server is, is verified: there is no plain fallback.
func TestTLSIsVerified(t *testing.T) {
	srv := redistest.Start(t, redistest.WithTLS())
	for _, at := range []string{srv.URL(), strings.Replace(srv.URL(), "rediss://", "redis://", 1)} {
		b, err := redisstore.Open(t.Context(), at, nil)
		if err == nil {
			b.Close()
			t.Errorf("%s was opened without knowing its CA", at)
		} else if class := poolkeeper.ClassOf(err).Err; class != poolkeeper.ErrUnavailable {
			t.Errorf("%s: error %v, want ErrUnavailable", at, err)
		}
	}
}

func TestConformanceBehindSentinel(t *testing.T) {
	storetest.Run(t, harness(redistest.StartSentinel(t).URL(), nil))
}

// aclLine is the line of the user as the documentation has it, for a prefix.
func aclLine(t *testing.T, prefix string) string {
	t.Helper()
	doc, err := os.ReadFile("../docs/formats.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile(`(?m)^ *user poolkeeper .*(\n +[+~&-].*)*$`).FindAllString(string(doc), -1)
	if len(lines) != 1 {
		t.Fatalf("docs/formats.md has %d ACL lines, want 1", len(lines))
	}
	line := strings.Join(strings.Fields(lines[0]), " ")
	if strings.Count(line, "aiclient:*") != 2 || !strings.Contains(line, " >PASSWORD ") {
		t.Fatalf("the ACL line lacks keys, channels or password: %s", line)
	}
	return strings.ReplaceAll(strings.Replace(line, ">PASSWORD", ">s3cret", 1), "aiclient:*", prefix+"*")
}

// aclCommands are the commands that a line allows, as commandstats names them.
func aclCommands(line string) []string {
	var names []string
	for _, w := range strings.Fields(line) {
		if name, ok := strings.CutPrefix(w, "+"); ok {
			names = append(names, strings.ToLower(name))
		}
	}
	return names
}

// The documented line is enough for everything, and each command on it is in
// use.
func TestConformanceAsRestrictedUser(t *testing.T) {
	line := aclLine(t, "t")
	srv := redistest.Start(t, redistest.WithACL(line, "default off"))
	at := withUser(t, srv.SocketURL(), "poolkeeper", "s3cret")
	if strings.Contains(line, "@") || strings.Contains(line, "allcommands") {
		t.Fatalf("the ACL line allows whole categories: %s", line)
	}
	srv.DoString("CONFIG", "RESETSTAT")
	stats := func() []string {
		var used []string
		for name := range srv.Info("commandstats") {
			used = append(used, strings.TrimPrefix(name, "cmdstat_"))
		}
		return used
	}
	storetest.Run(t, harness(at, nil))
	big := openUser(t, at, "tbig:")
	bigPool(t, big, 10_500) // one that is read in parts
	if _, err := big.Load(t.Context(), kiro); err != nil {
		t.Error(err)
	}
	// A replacement that finds an unfinished sweep.
	srv.DoInt("HSET", "tbig:ctl:{tbig:pools:kiro}", "sweep", "1")
	if res := big.Apply(t.Context(), replaceOp("a"))[0]; res.Err != nil {
		t.Error(res.Err)
	}
	if _, err := big.Info(t.Context()); err != nil {
		t.Error(err)
	}
	if err := big.Claim(t.Context(), claimOf("j", 1, "one")); err != nil {
		t.Error(err)
	}
	used := stats()
	var fork [][]string
	for _, cmd := range forkStore(t) {
		cmd[1] = strings.Replace(cmd[1], "aiclient:", "tfork:", 1)
		fork = append(fork, cmd)
	}
	fill(t, srv, fork)
	srv.DoString("CONFIG", "RESETSTAT")
	foreign := openUser(t, at, "tfork:")
	if snap, _, err := foreign.LoadForeign(t.Context()); err != nil {
		t.Error(err)
	} else if err := foreign.Adopt(t.Context(), snap); err != nil {
		t.Error(err)
	}
	used = append(used, stats()...)
	for _, name := range aclCommands(line) {
		switch {
		case slices.Contains(onlyElsewhere, name):
		case !slices.Contains(used, name):
			t.Errorf("the ACL line allows %s, which nothing needs", name)
		}
	}
	denied, err := srv.Do("ACL", "LOG")
	if err != nil {
		t.Fatal(err)
	}
	if entries, _ := denied.([]any); len(entries) != 0 {
		t.Errorf("the user was denied something: %v", entries)
	}
}

// onlyElsewhere are commands of the line that a standalone server does not see.
var onlyElsewhere = []string{"cluster|slots", "cluster|shards", "spublish", "ssubscribe", "role", "ping"}

func openUser(t *testing.T, at, prefix string) *redisstore.Store {
	t.Helper()
	b, err := redisstore.Open(t.Context(), at, &redisstore.Options{Prefix: prefix})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// The same line is enough on a cluster.
func TestRestrictedUserOnCluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3, redistest.WithACL(aclLine(t, "t")))
	b := openUser(t, withUser(t, c.URL(), "poolkeeper", "s3cret"), rigPrefix)
	if err := b.Restore(t.Context(), rigSnapshot()); err != nil {
		t.Fatal(err)
	}
	for _, op := range []poolkeeper.Op{useOp("a", 1), errorOp("b"), defineOp(poolkeeper.OpAddProvider, "d", ""), replaceOp("a", "x"),
		putOp(poolkeeper.PasswordKey, "p"), {Kind: poolkeeper.OpDeletePool, Key: kiro}} {
		if res := b.Apply(t.Context(), op)[0]; res.Err != nil {
			t.Errorf("%s: %v", op.Kind, res.Err)
		}
	}
	if _, err := b.Load(t.Context()); err != nil {
		t.Error(err)
	}
	c.ForEach(func(n *redistest.Server) {
		if v, err := n.Do("ACL", "LOG"); err != nil || len(v.([]any)) != 0 {
			t.Errorf("%s denied something: %v, %v", n.Addr(), v, err)
		}
	})
}

// With the keys of another prefix in reach, none of them is.
func TestUserIsKeptToItsPrefix(t *testing.T) {
	srv := redistest.Start(t, redistest.WithACL(aclLine(t, "mine:")))
	at := withUser(t, srv.SocketURL(), "poolkeeper", "s3cret")
	if b, err := redisstore.Open(t.Context(), at, &redisstore.Options{Prefix: "other:"}); err == nil {
		b.Close()
		t.Error("a store under another prefix was opened")
	} else if poolkeeper.ClassOf(err).Err != poolkeeper.ErrForbidden {
		t.Errorf("error %v, want ErrForbidden", err)
	}
}
