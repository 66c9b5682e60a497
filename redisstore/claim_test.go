package redisstore_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/redisstore"
)

const journalsKey = "t:journals:{t:meta}"

func claimOf(journal string, generation uint64, nonce string, known ...poolkeeper.Mark) poolkeeper.Claim {
	return poolkeeper.Claim{Journal: journal, Mark: poolkeeper.Mark{Generation: generation, Nonce: nonce}, Known: known}
}

// A claim is taken in the place of one that is known, of an older one, or of none;
// another one stays as it is.
func TestClaim(t *testing.T) {
	r := newRig(t)
	five, six := poolkeeper.Mark{Generation: 5, Nonce: "five"}, poolkeeper.Mark{Generation: 6, Nonce: "six"}
	next := claimOf("j", 7, "seven", five, six)
	for _, c := range []struct {
		what, had string // "" for nothing
		claim     poolkeeper.Claim
		taken     bool
	}{
		{"nothing", "", next, false},
		{"the one that it surely had", "5 five", next, false},
		{"the one that it may have", "6 six", next, false},
		{"the same", "7 seven", next, false},
		{"an older one", "4 four", next, false},
		{"another one of the generation that it had", "5 other", next, true},
		{"another one of a generation that it may have", "6 other", next, true},
		{"another one of this generation", "7 other", next, true},
		{"a later one", "8 eight", next, true},
		{"the first claim: another one", "1 other", claimOf("j", 1, "one"), true},
		{"the first claim: the same", "1 one", claimOf("j", 1, "one"), false},
		{"what nobody wrote", "x", next, false},
	} {
		r.srv.DoInt("DEL", journalsKey)
		had := fmt.Sprint(c.had, " ", time.Now().UnixMilli())
		if c.had != "" {
			r.srv.DoInt("HSET", journalsKey, "j", had)
		}
		err := r.b.Claim(t.Context(), c.claim)
		now := r.srv.DoString("HGET", journalsKey, "j")
		switch {
		case c.taken && (!errors.Is(err, poolkeeper.ErrConflict) || now != had):
			t.Errorf("%s: %v, and there is %q", c.what, err, now)
		case !c.taken && (err != nil || !strings.HasPrefix(now, fmt.Sprint(c.claim.Mark.Generation, " ", c.claim.Mark.Nonce, " "))):
			t.Errorf("%s: %v, and there is %q", c.what, err, now)
		}
	}
}

// Claims of journals that are gone for 30 days are forgotten, and all of them with the
// last one.
func TestClaimsAreForgotten(t *testing.T) {
	r := newRig(t)
	const month = 30 * 24 * time.Hour
	at := func(age time.Duration) string { return fmt.Sprint("1 n ", time.Now().Add(-age).UnixMilli()) }
	r.srv.DoInt("HSET", journalsKey, "old", at(month+time.Hour), "young", at(month-time.Hour), "odd", "?")
	if err := r.b.Claim(t.Context(), claimOf("new", 1, "one")); err != nil {
		t.Fatal(err)
	}
	if got := r.srv.HGetAll(journalsKey); len(got) != 2 || got["new"] == "" || got["young"] == "" {
		t.Errorf("there are %v", got)
	}
	if ttl := time.Duration(r.srv.DoInt("PTTL", journalsKey)) * time.Millisecond; ttl > month || ttl < month-time.Hour {
		t.Errorf("they are kept for %s", ttl)
	}
}

// A claim is of one store: another one, or none, takes none. What a store has of
// claims is in no snapshot, and is no foreign key.
func TestClaimAndStore(t *testing.T) {
	r := newRig(t)
	if err := r.b.Claim(t.Context(), claimOf("j", 1, "one")); err != nil {
		t.Fatal(err)
	}
	snap, err := r.b.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(snap.Values) != 1 || len(snap.Pools) != 1 {
		t.Errorf("the snapshot has %d values and %d pools", len(snap.Values), len(snap.Pools))
	}
	r.srv.DoInt("HSET", "t:meta", "epoch", "another")
	r.unchanged("a claim in another store", func() {
		if err := r.b.Claim(t.Context(), claimOf("j", 2, "two", poolkeeper.Mark{Generation: 1, Nonce: "one"})); !errors.Is(err, poolkeeper.ErrLost) {
			t.Errorf("in another store: %v", err)
		}
	})
	r.srv.FlushAll()
	empty := r.open(r.srv.SocketURL())
	if err := empty.Claim(t.Context(), claimOf("j", 1, "one")); !errors.Is(err, poolkeeper.ErrUninitialized) || len(r.srv.Keys("*")) != 0 {
		t.Errorf("in an empty store: %v, and there are %v", err, r.srv.Keys("*"))
	}
	// A restore that was cut off leaves the store as one that may be cleaned.
	r.srv.DoInt("HSET", journalsKey, "j", "1 one 1")
	r.srv.DoInt("HSET", "t:meta", "importing", "run")
	if err := empty.Restore(t.Context(), rigSnapshot()); err != nil || len(r.srv.Keys(journalsKey)) != 0 {
		t.Errorf("restored over what was left: %v, %v", err, r.srv.Keys(journalsKey))
	}
}

// A claim whose answer is lost is one that may be there: the next one knows it, and a
// late copy of it takes nothing away.
func TestClaimWithoutAnswer(t *testing.T) {
	r := newRig(t)
	p, b := r.proxied(impatient)
	one := claimOf("j", 1, "one")
	p.CutAfterRequest(1, "EVALSHA", "EVAL")
	if err := b.Claim(t.Context(), one); !errors.Is(err, poolkeeper.ErrIndeterminate) {
		t.Fatalf("without an answer: %v", err)
	}
	p.Clear()
	if err := b.Claim(t.Context(), claimOf("j", 2, "two", one.Mark)); err != nil {
		t.Fatalf("the next one: %v", err)
	}
	if err := b.Claim(t.Context(), one); !errors.Is(err, poolkeeper.ErrConflict) {
		t.Errorf("the late one: %v", err)
	}
	if got := r.srv.DoString("HGET", journalsKey, "j"); !strings.HasPrefix(got, "2 two ") {
		t.Errorf("there is %q", got)
	}
	r.srv.Stop()
	if err := b.Claim(t.Context(), one); !errors.Is(err, poolkeeper.ErrUnavailable) && !errors.Is(err, poolkeeper.ErrIndeterminate) {
		t.Errorf("while Redis is away: %v", err)
	}
}

// With replicas to wait for, a claim that none has is one whose outcome is unknown.
func TestClaimIsReplicated(t *testing.T) {
	r := newRig(t)
	b := r.open(r.srv.SocketURL(), impatient, func(o *redisstore.Options) { o.Durability = redisstore.Replicated })
	if err := b.Claim(t.Context(), claimOf("j", 1, "one")); !errors.Is(err, poolkeeper.ErrIndeterminate) {
		t.Errorf("without a replica: %v", err)
	}
}
