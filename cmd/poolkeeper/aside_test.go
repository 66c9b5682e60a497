package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// A cutoff is a service whose Redis can be taken away from it, beside one that others
// go on to use.
type cutoff struct {
	*world
	*testing.T
	srv    *redistest.Server
	proxy  *redistest.Proxy
	svc    *service
	others map[string]string // the environment of another instance
	output map[string]string
}

func newCutoff(t *testing.T, env map[string]string) *cutoff {
	t.Helper()
	c := &cutoff{T: t, srv: redistest.Start(t), output: map[string]string{}}
	c.proxy = redistest.StartProxy(t, c.srv.Addr())
	c.world = newWorld(t, c.srv.URL(), "aside:")
	c.others = maps.Clone(c.env)
	c.others["POOLKEEPER_STATE_DIR"] = filepath.Join(c.dir, "another")
	c.env["REDIS_URL"], c.env["REDIS_COMMAND_TIMEOUT"], c.env["REDIS_CONNECT_TIMEOUT"] = c.proxy.URL(), "2000", "2000"
	c.env["POOLKEEPER_LOG_LEVEL"] = "debug"
	maps.Copy(c.env, env)
	c.svc = startService(t, c.env)
	return c
}

// here runs a command through the service.
func (c *cutoff) here(want int, stdin string, args ...string) (stdout, stderr string) {
	c.Helper()
	stdout, stderr = expect(c.T, c.env, want, stdin, args...)
	c.output[fmt.Sprint(len(c.output), args)] = stdout + stderr
	return stdout, stderr
}

// there runs a command on the store, past the service.
func (c *cutoff) there(want int, stdin string, args ...string) string {
	c.Helper()
	stdout, _ := expect(c.T, c.others, want, stdin, args...)
	return stdout
}

func (c *cutoff) list(args ...string) (l journalListing) {
	c.Helper()
	out, _ := c.here(0, "", append([]string{"journal", "list", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &l); err != nil || l.Backlog == nil {
		c.Fatalf("%v: %s", err, out)
	}
	c.hold("journal list", out)
	return l
}

// hold holds the JSON of a command to what the docs say of it.
func (c *cutoff) hold(path, out string) {
	c.Helper()
	if faults := shapes(c.T)[path].check(out); len(faults) > 0 {
		c.Errorf("%s: %s\n%s", path, strings.Join(faults, "; "), out)
	}
}

func (c *cutoff) until(what string, ok func() bool) {
	c.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			c.Fatalf("in vain for half a minute: %s\n%s", what, c.svc.errOut)
		}
	}
}

// drained waits until nothing waits any more, and returns what is set aside.
func (c *cutoff) drained() (aside []poolkeeper.AsideOp) {
	c.Helper()
	c.until("nothing waits", func() bool {
		l := c.list()
		aside = l.Backlog.Aside
		return l.Backlog.Waiting == 0 && l.Backlog.Frozen == 0
	})
	return aside
}

// uses is the counter of a provider in the store.
func (c *cutoff) uses(id string) int {
	c.Helper()
	var p struct{ UsageCount int }
	if err := json.Unmarshal([]byte(c.there(0, "", "provider", "get", besideType, id)), &p); err != nil {
		c.Fatal(err)
	}
	return p.UsageCount
}

// TestAsideThroughService: what cannot be applied after an outage is set aside, and
// keeps nothing else back; the command line lists it through the service that has the
// journal, with the same text as from the files, and decides on it. What is tried
// again once it is mended counts once.
func TestAsideThroughService(t *testing.T) {
	t.Parallel()
	c := newCutoff(t, nil)
	const secret = "FAKE-of-the-test"
	before := c.uses(otherID)
	c.proxy.Down()
	c.here(0, "", "usage", besideType, besideID, "-n", "3")
	c.here(0, "", "usage", besideType, otherID, "-n", "5")
	c.here(0, `{"apiKey":"`+secret+`"}`, "doc", "set", "bad.json", "--file", "-")
	c.here(0, `{"apiKey":"`+secret+`"}`, "doc", "set", "good.json", "--file", "-")
	definition := c.there(0, "", "provider", "get", besideType, besideID, "--definition", "--reveal")
	c.there(0, "", "provider", "rm", besideType, besideID)
	c.srv.DoInt("LPUSH", "aside:doc:bad.json", "not a document")
	c.proxy.Up()

	aside := c.drained()
	if len(aside) != 2 || aside[0].Kind != poolkeeper.OpUsage || aside[0].Reason != "not-found" || aside[0].Of != besideType+" "+besideID ||
		aside[1].Kind != poolkeeper.OpPut || aside[1].Reason != "damaged" || !strings.Contains(aside[1].Of, "bad.json") {
		t.Fatalf("set aside are %+v", aside)
	}
	uses, doc := strconv.FormatUint(aside[0].Entry, 10), strconv.FormatUint(aside[1].Entry, 10)
	// All else went through, and goes on.
	if got := c.uses(otherID); got != before+5 {
		t.Errorf("the counter is %d, want %d", got, before+5)
	}
	c.here(0, "", "usage", besideType, otherID)
	c.here(0, `{"a":1}`, "doc", "set", "good.json", "--file", "-")
	c.drained()
	if got := c.uses(otherID); got != before+6 || strings.TrimSpace(c.there(0, "", "doc", "get", "good.json")) != `{"a":1}` {
		t.Errorf("the counter is %d, want %d", got, before+6)
	}
	// The service says what its files do.
	for _, args := range [][]string{{"journal", "list"}, {"journal", "list", "--json"}} {
		through, _ := c.here(0, "", args...)
		files, _ := c.here(0, "", append(args, "--direct")...)
		if through != files || !strings.Contains(through, "bad.json") {
			t.Errorf("through the service:\n%s\nfrom the files:\n%s", through, files)
		}
	}
	if _, said := c.here(3, "", "journal", "retry", uses, "--direct"); !strings.Contains(said, "leave --direct out") {
		t.Errorf("past the service: %s", said)
	}
	// All that are named, or none.
	for _, what := range []string{"retry", "discard"} {
		if _, said := c.here(1, "", "journal", what, uses, "999999"); !strings.Contains(said, "no op with the number 999999 is set aside") {
			t.Errorf("%s", said)
		}
	}
	if again := c.drained(); !slices.Equal(again, aside) {
		t.Errorf("what was refused has changed it: %+v", again)
	}
	// What is tried again before it is mended comes back, under another number.
	c.here(0, "", "journal", "retry", uses)
	if again := c.drained(); len(again) != 2 || again[1].Of != aside[0].Of || again[1].Entry <= aside[1].Entry {
		t.Errorf("set aside are %+v", again)
	} else {
		uses = strconv.FormatUint(again[1].Entry, 10)
	}
	c.there(0, definition, "provider", "add", besideType)
	mended := c.uses(besideID)
	if out, _ := c.here(0, "", "journal", "retry", uses); out != "Queued again: 1 op. 1 left aside.\n" {
		t.Errorf("it says %q", out)
	}
	c.drained()
	if got := c.uses(besideID); got != mended+3 {
		t.Errorf("after a retry the counter is %d, want %d", got, mended+3)
	}
	c.here(1, "", "journal", "retry", uses)
	if out, _ := c.here(0, "", "journal", "discard", doc, "--json"); !strings.Contains(out, `"changed": 1`) || !strings.Contains(out, `"aside": 0`) {
		t.Errorf("it says %q", out)
	} else {
		c.hold("journal discard", out)
	}
	c.svc.stop()
	// Without a service it is the journal itself that is opened.
	if l := c.list(); l.Backlog.Waiting+l.Backlog.Frozen+len(l.Backlog.Aside) != 0 {
		t.Errorf("left is %+v", l.Backlog)
	}
	if out, _ := c.here(0, "", "journal", "discard", "--all"); out != "Given up: 0 ops. 0 left aside.\n" {
		t.Errorf("it says %q", out)
	}
	if got := c.uses(besideID); got != mended+3 || c.srv.DoString("TYPE", "aside:doc:bad.json") != "list" {
		t.Errorf("in the end the counter is %d", got)
	}
	c.output["log"] = c.svc.errOut.String()
	secrets := allSecrets(t, filepath.Join(fixtures(t), "typical"))
	secrets[secret] = true
	noLeak(t, secrets, c.output)
}

// TestAsideInMemory: what waits in the memory of a service is listed too, and only
// the service can decide on it.
func TestAsideInMemory(t *testing.T) {
	t.Parallel()
	c := newCutoff(t, map[string]string{"POOLKEEPER_JOURNAL": "memory"})
	c.proxy.Down()
	c.here(0, "", "usage", besideType, besideID)
	c.there(0, "", "provider", "rm", besideType, besideID)
	c.proxy.Up()
	if aside := c.drained(); len(aside) != 1 || aside[0].Reason != "not-found" {
		t.Fatalf("set aside are %+v", aside)
	}
	if out, _ := c.here(0, "", "journal", "list"); !strings.HasPrefix(out, "SET ASIDE ") || !strings.Contains(out, "in the memory of the service") {
		t.Errorf("it says %q", out)
	}
	c.here(1, "", "journal", "list", "--direct")
	c.here(0, "", "journal", "discard", "--all")
	if aside := c.drained(); len(aside) != 0 {
		t.Errorf("set aside are %+v", aside)
	}

	// What waits is gone with the service, and that is said.
	c.proxy.Down()
	c.here(0, "", "doc", "set", "waits.json", "a=1")
	c.svc.stop()
	if log := c.svc.errOut.String(); !strings.Contains(log, `"level":"WARN","msg":"acknowledged ops are lost`) || !strings.Contains(log, `"ops":1,"keys":1,"pools":0,`) {
		t.Errorf("the log says %s", log)
	}
}

// TestAsideOfFiles: a service on a directory sets nothing aside.
func TestAsideOfFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "", "")
	startService(t, w.env)
	for _, what := range []string{"retry", "discard"} {
		if _, said := expect(t, w.env, 1, "", "journal", what, "--all"); !strings.Contains(said, "this store queues nothing") {
			t.Errorf("%s", said)
		}
	}
}
