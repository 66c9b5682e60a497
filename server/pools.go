package server

import (
	"net/http"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// anyObject stands for a JSON object that passes through as bytes.
type anyObject map[string]any

func (s *Server) poolRoutes() []route {
	const tag, all, one = "pools", base + "/pools", base + "/pools/{type}"
	definition := []string{"definition"}
	return []route{
		{method: http.MethodGet, path: all, id: "get-pools", summary: "Read all pools", tag: tag, query: definition,
			answer: answerRule{kind: jsonAnswer, about: "the types in their order, each with its providers in theirs", schema: map[string][]anyObject{}, example: `{"openai-custom":[{"uuid":"3f1c7a52-1d1b-4a35-9f0e-6d2a6f4a8c10","usageCount":8,"isHealthy":true}]}`}, handle: s.getPools},
		{method: http.MethodPut, path: all, id: "order-pools", summary: "Put the types in an order", tag: tag, query: []string{"order"},
			about: "order=true has to be there: pools are not replaced all at once.",
			body:  &bodyRule{limit: maxPool, about: "all types, each once", schema: []string{}, example: `["openai-custom"]`}, handle: s.orderPools},
		{method: http.MethodGet, path: one, id: "get-pool", summary: "Read a pool", tag: tag, codes: gone, query: definition,
			answer: answerRule{kind: jsonAnswer, about: "the providers in their order", schema: []anyObject{}, tagged: true,
				example: `[{"uuid":"3f1c7a52-1d1b-4a35-9f0e-6d2a6f4a8c10","customName":"one","usageCount":8,"isHealthy":true}]`}, handle: s.getPool},
		{method: http.MethodPut, path: one, id: "put-pool", summary: "Replace a pool whole, or put its providers in an order", tag: tag,
			query: []string{"order"}, conditional: true, codes: gone,
			about: "It is seen whole or not at all, and a provider that stays keeps its runtime state.",
			body: &bodyRule{limit: maxPool, about: "the definitions in their order; with order=true the ids of all providers, each once", schema: []any{},
				example: `[{"uuid":"3f1c7a52-1d1b-4a35-9f0e-6d2a6f4a8c10","customName":"one"}]`}, handle: s.putPool},
		{method: http.MethodPost, path: one, id: "add-provider", summary: "Add a provider to a pool", tag: tag, codes: []string{"exists"},
			body:   &bodyRule{limit: poolkeeper.MaxDefinition, about: "the definition, kept to the byte; without a uuid it gets one", schema: anyObject{}, example: `{"customName":"two"}`},
			answer: answerRule{status: http.StatusCreated, tagged: true, creates: true}, handle: s.addProvider},
		{method: http.MethodDelete, path: one, id: "delete-pool", summary: "Remove a pool with all its providers", tag: tag, codes: gone, about: "Their tokens stay.",
			conditional: true, handle: s.deletePool},
	}
}

func (s *Server) getPools(x *exchange) error {
	pools, err := s.store.Pools(x.r.Context())
	if err != nil {
		return err
	}
	b := []byte{'{'}
	for i, p := range pools {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(rawjson.AppendQuote(b, p.Type), ':')
		if b, err = appendPool(b, p, x.flag("definition")); err != nil {
			return err
		}
	}
	x.send(http.StatusOK, jsonType, append(b, '}'))
	return nil
}

func (s *Server) getPool(x *exchange) error {
	typ, err := x.typ()
	if err != nil {
		return err
	}
	p, err := s.store.Pool(x.r.Context(), typ)
	if err != nil {
		return err
	}
	b, err := appendPool(nil, p, x.flag("definition"))
	if err != nil {
		return err
	}
	return x.document(p.Structure.String(), b)
}

// appendPool appends the providers of a pool as an array.
func appendPool(b []byte, p *poolkeeper.Pool, definition bool) ([]byte, error) {
	b = append(b, '[')
	for i := range p.Providers {
		if i > 0 {
			b = append(b, ',')
		}
		one, err := shown(&p.Providers[i], definition)
		if err != nil {
			return nil, err
		}
		b = append(b, one...)
	}
	return append(b, ']'), nil
}

func (s *Server) orderPools(x *exchange) error {
	if !x.flag("order") {
		return poolkeeper.Errorf(poolkeeper.ErrInvalid, "the pools are not replaced all at once").
			WithHint("put each pool; or add ?order=true and send the types in their order")
	}
	types, err := x.names()
	if err != nil {
		return err
	}
	res, err := s.store.ReorderTypes(x.r.Context(), types)
	if err != nil {
		return err
	}
	return x.answer(http.StatusOK, res, news{})
}

func (s *Server) putPool(x *exchange) error {
	typ, err := x.typ()
	if err != nil {
		return err
	}
	if x.flag("order") {
		ids, err := x.names()
		if err != nil {
			return err
		}
		return x.write("", func(cond poolkeeper.If) (poolkeeper.Result, error) {
			return s.store.ReorderPool(x.r.Context(), typ, ids, cond)
		})
	}
	records, err := x.records()
	if err != nil {
		return err
	}
	return x.write("", func(cond poolkeeper.If) (poolkeeper.Result, error) {
		op := poolkeeper.Op{Kind: poolkeeper.OpReplacePool, Key: poolkeeper.PoolKey(typ), Providers: records, If: cond}
		res := s.store.Apply(x.r.Context(), op)[0]
		return res, poolkeeper.Annotate(res.Err, string(op.Kind), op.Subject())
	})
}

func (s *Server) addProvider(x *exchange) error {
	typ, err := x.typ()
	if err != nil {
		return err
	}
	definition, _, err := unmark(x.body)
	if err != nil {
		return err
	}
	res, err := s.store.AddProvider(x.r.Context(), typ, definition)
	if err != nil {
		return err
	}
	if _, ok := poolkeeper.UsableUUID(definition); !ok {
		// It was given one; what is stored has it where AddProvider says.
		if definition, err = rawjson.Set(definition, "uuid", rawjson.Quote(res.ID)); err != nil {
			return err
		}
	}
	return x.created(poolkeeper.Ref{Type: typ, ID: res.ID}, res, news{tag: poolkeeper.ETag(definition)})
}

func (s *Server) deletePool(x *exchange) error {
	typ, err := x.typ()
	if err != nil {
		return err
	}
	return x.write("", func(cond poolkeeper.If) (poolkeeper.Result, error) {
		return s.store.DeletePool(x.r.Context(), typ, cond)
	})
}
