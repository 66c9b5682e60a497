package server

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// maxPick is how many bytes name ops that are set aside: some 100,000 of them.
const maxPick = 1 << 20

// A pickBody names ops that are set aside.
type pickBody struct {
	Entries []uint64 `json:"entries,omitempty" doc:"the numbers of the ops"`
	All     bool     `json:"all,omitempty" doc:"true, in place of numbers"`
}

// TransformSchema says that it is the one or the other.
func (*pickBody) TransformSchema(_ huma.Registry, s *huma.Schema) *huma.Schema {
	s.OneOf = []*huma.Schema{{Required: []string{"entries"}}, {Required: []string{"all"}}}
	return s
}

func (b *pickBody) set(name string, raw []byte) error {
	switch name {
	case "entries":
		return b.setEntries(raw)
	case "all":
		if err := readBool(raw, &b.All); err != nil {
			return err
		}
		if !b.All {
			return errors.New("is not true: leave it out, and name entries")
		}
		return nil
	}
	return errUnknownField
}

func (b *pickBody) setEntries(raw []byte) error {
	if rawjson.KindOf(raw) != rawjson.KindArray {
		return errors.New("is not an array of numbers")
	}
	b.Entries = []uint64{}
	err := rawjson.Array(raw, func(_ int, value []byte) error {
		var n int64
		if err := readInt(value, &n, 1, maxEntry); err != nil {
			return errors.New("has something that is no number of an op")
		}
		b.Entries = append(b.Entries, uint64(n))
		return nil
	})
	if err == nil && len(b.Entries) == 0 {
		err = errors.New("is empty")
	}
	return err
}

// maxEntry is the largest number that all clients can read exactly.
const maxEntry = 1<<53 - 1

func (s *Server) journalRoutes() []route {
	const tag, one = "backend", base + "/journal"
	body := &bodyRule{kind: smallBody, limit: maxPick, about: "which ops: the numbers of some, or all", schema: pickBody{}, example: `{"entries":[17,21]}`}
	decided := answerRule{kind: jsonAnswer, about: "how many ops that were, and how many are still set aside", schema: poolkeeper.Decided{}, example: `{"changed":2,"aside":1}`}
	return []route{
		{method: http.MethodGet, path: one, id: "get-journal", summary: "Tell what waits for the store, and what was set aside", tag: tag,
			about: "Only a service on Redis queues; elsewhere it is 403. What the ops hold is not told.",
			answer: answerRule{kind: jsonAnswer, about: "what was acknowledged and is not in the store", schema: poolkeeper.Pending{},
				example: `{"queue":{"ops":3,"frozen":0,"aside":1,"bytes":412,"dropped":0,"durable":true},"aside":[{"entry":17,"kind":"usage","of":"openai-custom 3f1c7a52-1d1b-4a35-9f0e-6d2a6f4a8c10","reason":"not-found","text":"there is no such provider","at":1780092600000}],"dropped":[],"lost":[]}`}, handle: s.pending},
		{method: http.MethodPost, path: one + "/retry", id: "retry-aside", summary: "Queue ops that are set aside again", tag: tag, codes: gone,
			about: "All that are named, or none. Each goes behind all others of its key, and to the store at once where that is there.",
			body:  body, answer: decided, handle: s.decide((*poolkeeper.Store).RetryAside)},
		{method: http.MethodPost, path: one + "/discard", id: "discard-aside", summary: "Give up ops that are set aside, for good", tag: tag, codes: gone,
			about: "All that are named, or none.",
			body:  body, answer: decided, handle: s.decide((*poolkeeper.Store).DiscardAside)},
	}
}

func (s *Server) pending(x *exchange) error {
	p, err := s.store.Pending(x.r.Context())
	if err != nil {
		return err
	}
	return x.sendValue(p)
}

// decide answers a decision on what is set aside.
func (s *Server) decide(do func(*poolkeeper.Store, context.Context, poolkeeper.Pick) (poolkeeper.Decided, error)) func(*exchange) error {
	return func(x *exchange) error {
		var b pickBody
		if err := x.decode(&b); err != nil {
			return err
		}
		switch {
		case b.All && b.Entries != nil:
			return faulty([]fieldFault{fault("all", "says something else than entries: leave one of the two out")})
		case !b.All && b.Entries == nil:
			return faulty([]fieldFault{fault("entries", "is missing, and so is all")})
		}
		done, err := do(s.store, x.r.Context(), poolkeeper.Pick{Entries: b.Entries, All: b.All})
		if err != nil {
			return err
		}
		return x.sendValue(done)
	}
}
