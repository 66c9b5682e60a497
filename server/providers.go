package server

import (
	"errors"
	"net/http"

	"github.com/poolkeeper/poolkeeper"
)

// A renameBody is the body of rename.
type renameBody struct {
	ID string `json:"id" doc:"the new id, which becomes the uuid of the definition"`
}

func (b *renameBody) set(name string, raw []byte) error {
	if name == "id" {
		return readString(raw, &b.ID)
	}
	return errUnknownField
}

func (s *Server) providerRoutes() []route {
	const tag, one = "providers", base + "/pools/{type}/{id}"
	return []route{
		{method: http.MethodGet, path: one, id: "get-provider", summary: "Read a provider", tag: tag, codes: gone, query: []string{"definition"},
			answer: answerRule{kind: jsonAnswer, about: "the definition with the runtime state laid over it", schema: anyObject{}, tagged: true,
				example: `{"uuid":"3f1c7a52-1d1b-4a35-9f0e-6d2a6f4a8c10","customName":"one","usageCount":8,"isHealthy":true}`}, handle: s.getProvider},
		{method: http.MethodPut, path: one, id: "put-provider", summary: "Replace the definition of a provider, or add it", tag: tag,
			conditional: true, about: "It keeps its runtime state.",
			body: &bodyRule{limit: poolkeeper.MaxDefinition, about: "the definition, kept to the byte; its uuid is the id", schema: anyObject{},
				example: `{"uuid":"3f1c7a52-1d1b-4a35-9f0e-6d2a6f4a8c10","customName":"one"}`},
			answer: answerRule{tagged: true, creates: true}, handle: s.putProvider},
		{method: http.MethodPatch, path: one, id: "patch-provider", summary: "Change fields of a definition", tag: tag, codes: gone,
			conditional: true, body: &bodyRule{kind: patchBody, limit: poolkeeper.MaxDefinition, about: "what to change; neither the uuid nor runtime state", example: `{"isDisabled":true}`}, handle: s.patchProvider},
		{method: http.MethodDelete, path: one, id: "delete-provider", summary: "Remove a provider with its runtime state", tag: tag, codes: gone,
			conditional: true, handle: s.deleteProvider},
		{method: http.MethodPost, path: one + "/rename", id: "rename-provider", summary: "Give a provider a new id", tag: tag,
			conditional: true, codes: []string{"not-found", "exists"}, about: "For 30 days the old id leads to the provider. Its token moves along.",
			body: &bodyRule{kind: smallBody, limit: maxTiny, schema: renameBody{}, example: `{"id":"8d0e1b7e-6c55-4f1f-8d5e-0a9b1c2d3e4f"}`}, handle: s.renameProvider},
	}
}

func (s *Server) getProvider(x *exchange) error {
	ref, err := x.ref()
	if err != nil {
		return err
	}
	p, err := s.store.Provider(x.r.Context(), ref)
	if err != nil {
		return err
	}
	b, err := shown(p, x.flag("definition"))
	if err != nil {
		return err
	}
	if p.Ref != ref { // asked for by the id that it had
		x.Header()["Content-Location"] = []string{providerPath(p.Ref)}
	}
	return x.document(p.ETag(), b)
}

func (s *Server) putProvider(x *exchange) error {
	ref, err := x.ref()
	if err != nil {
		return err
	}
	definition, id, err := unmark(x.body)
	if err != nil {
		return err
	}
	if id != "" && id != ref.ID {
		return faulty([]fieldFault{fault(markField, "is not the id of the path")})
	}
	cond, err := x.condition()
	if err != nil {
		return err
	}
	res, added, err := s.put(x, ref, definition, cond)
	if err != nil {
		return err
	}
	n := news{id: ref.ID, tag: poolkeeper.ETag(definition)}
	if added {
		return x.created(ref, res, n)
	}
	return x.answer(http.StatusOK, res, n)
}

// put replaces or adds a provider, and says which of the two it was. Without a
// condition it is the one or the other that is asked for in turn, until one is
// taken: only the store can tell what was there when it was written.
func (s *Server) put(x *exchange, ref poolkeeper.Ref, definition []byte, cond poolkeeper.If) (res poolkeeper.Result, added bool, err error) {
	if cond != poolkeeper.Always {
		res, err = s.store.PutProvider(x.r.Context(), ref, definition, cond)
		return res, cond == poolkeeper.IfAbsent, err
	}
	for range maxTurns {
		for _, cond := range []poolkeeper.If{poolkeeper.IfPresent, poolkeeper.IfAbsent} {
			res, err = s.store.PutProvider(x.r.Context(), ref, definition, cond)
			switch {
			case errors.Is(err, poolkeeper.ErrUnavailable), errors.Is(err, poolkeeper.ErrLost):
				// The store cannot tell; without a condition it can wait for it.
				res, err = s.store.PutProvider(x.r.Context(), ref, definition, poolkeeper.Always)
				return res, false, err
			case !errors.Is(err, poolkeeper.ErrConflict):
				return res, cond == poolkeeper.IfAbsent, err
			}
		}
	}
	return res, false, err
}

// maxTurns is how often a provider may come and go while it is put.
const maxTurns = 20

func (s *Server) patchProvider(x *exchange) error {
	ref, err := x.ref()
	if err != nil {
		return err
	}
	return x.change(ref, "", func(cond poolkeeper.If) (poolkeeper.Result, error) {
		return s.store.PatchProvider(x.r.Context(), ref, x.dialect(), x.body, cond)
	})
}

func (s *Server) deleteProvider(x *exchange) error {
	ref, err := x.ref()
	if err != nil {
		return err
	}
	return x.change(ref, "", func(cond poolkeeper.If) (poolkeeper.Result, error) {
		return s.store.DeleteProvider(x.r.Context(), ref, cond)
	})
}

func (s *Server) renameProvider(x *exchange) error {
	ref, err := x.ref()
	if err != nil {
		return err
	}
	var b renameBody
	if err := x.decode(&b, "id"); err != nil {
		return err
	}
	return x.change(ref, "", func(cond poolkeeper.If) (poolkeeper.Result, error) {
		return s.store.RenameProvider(x.r.Context(), ref, b.ID, cond)
	})
}

// change does one conditional write of a provider, and answers it.
func (x *exchange) change(ref poolkeeper.Ref, tag string, do func(poolkeeper.If) (poolkeeper.Result, error)) error {
	cond, err := x.condition()
	if err != nil {
		return err
	}
	res, err := do(cond)
	if err != nil {
		return err
	}
	return x.answer(http.StatusOK, res, news{id: ref.ID, tag: tag})
}
