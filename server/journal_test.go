package server

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/memstore"
	"github.com/poolkeeper/poolkeeper/replica/backlog"
)

// A queueing backend has what waits beside it.
type queueing struct {
	poolkeeper.Backend
	poolkeeper.AsideKeeper
}

// queued is a store with a queue, in which the ops 17 and 21 are set aside.
func queued(t *testing.T, st *poolkeeper.Store) *poolkeeper.Store {
	t.Helper()
	b, err := backlog.Open("", nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 21 {
		op := poolkeeper.Op{Kind: poolkeeper.OpPut, Key: poolkeeper.DocumentKey(fmt.Sprint("d", i)), Data: []byte(`{"key":"FAKE-SECRET"}`), At: 1}
		if _, err := b.Append(context.Background(), op); err != nil {
			t.Fatal(err)
		}
	}
	refused := poolkeeper.Result{Err: poolkeeper.Errorf(poolkeeper.ErrDamaged, "it is a list")}
	if err := b.Resolve([]uint64{17, 21}, []poolkeeper.Result{refused, refused}); err != nil {
		t.Fatal(err)
	}
	return poolkeeper.New(queueing{st.Backend(), b}, nil)
}

func asideOf(t *testing.T, s *service) (numbers []uint64) {
	t.Helper()
	a := s.want(200, "GET", "/journal", "")
	if strings.Contains(a.body, "FAKE") {
		t.Errorf("it tells what the ops hold: %s", a.body)
	}
	var p poolkeeper.Pending
	if err := json.Unmarshal([]byte(a.body), &p); err != nil || p.Queue.Aside != len(p.Aside) || p.Dropped == nil {
		t.Fatalf("%v: %s", err, a.body)
	}
	for _, op := range p.Aside {
		if op.Kind != poolkeeper.OpPut || op.Of != fmt.Sprint("document d", op.Entry-1) || op.Reason != "damaged" || op.Text == "" || op.At == 0 {
			t.Errorf("%+v", op)
		}
		numbers = append(numbers, op.Entry)
	}
	return numbers
}

// TestJournal lists what is set aside, tries one again and gives the other one up.
func TestJournal(t *testing.T) {
	s := startOver(t, queued(t, emptyStore(t)))
	want := func(numbers string) {
		t.Helper()
		if got := fmt.Sprint(asideOf(t, s)); got != numbers {
			t.Errorf("set aside are %s, want %s", got, numbers)
		}
	}
	want("[17 21]")
	for _, path := range []string{"/journal/retry", "/journal/discard"} {
		for _, body := range []string{"", "{}", `{"all":false}`, `{"all":1}`, `{"entries":[]}`, `{"entries":17}`, `{"entries":["17"]}`, `{"entries":[17,0]}`, `{"entries":[-17]}`,
			`{"entries":[17.5]}`, `{"entries":[9007199254740993]}`, `{"entries":null}`, `{"entries":[17],"all":true}`, `{"entries":[17],"entries":[21]}`, `{"all":true,"more":1}`, `[17]`} {
			s.want(400, "POST", path, body)
		}
		for body, at := range map[string]string{`{}`: "#/entries", `{"entries":[17],"all":true}`: "#/all"} {
			if a := s.want(400, "POST", path, body); !strings.Contains(a.body, `"`+at+`"`) {
				t.Errorf("%s: it is not said where: %s", body, a.body)
			}
		}
		if a := s.want(404, "POST", path, `{"entries":[17,18]}`); !strings.Contains(a.body, "no op with the number 18 is set aside") {
			t.Errorf("%s", a.body)
		}
		s.want(413, "POST", path, `{"entries":[17`+strings.Repeat(" ", maxPick)+`]}`)
		want("[17 21]")
	}
	if a := s.want(200, "POST", "/journal/retry", `{"entries":[17]}`); a.body != `{"changed":1,"aside":1}`+"\n" {
		t.Errorf("%s", a.body)
	}
	want("[21]")
	if a := s.want(200, "POST", "/journal/discard", `{"all":true}`); a.body != `{"changed":1,"aside":0}`+"\n" {
		t.Errorf("%s", a.body)
	}
	want("[]")
}

// TestNoJournal: a store that queues nothing says so.
func TestNoJournal(t *testing.T) {
	s := startOver(t, poolkeeper.New(memstore.New(nil), nil)) // nor is it asked
	for _, a := range []answer{
		s.want(403, "GET", "/journal", ""),
		s.want(403, "POST", "/journal/retry", `{"all":true}`),
		s.want(403, "POST", "/journal/discard", `{"entries":[1]}`),
	} {
		if !strings.Contains(a.body, "this store queues nothing") {
			t.Errorf("%s", a.body)
		}
	}
}
