package server

import (
	"net/http"

	"github.com/poolkeeper/poolkeeper"
)

func (s *Server) tokenRoutes() []route {
	const tag, one = "tokens", base + "/tokens/{type}/{id}"
	return []route{
		{method: http.MethodGet, path: one, id: "get-token", summary: "Read the token of a provider", tag: tag, codes: gone,
			answer: answerRule{kind: jsonAnswer, about: "the token as it is kept", schema: anyObject{}, tagged: true, example: `{"accessToken":"...","refreshToken":"..."}`}, handle: s.getToken},
		{method: http.MethodPut, path: one, id: "put-token", summary: "Replace the token of a provider, or give it one", tag: tag, codes: gone,
			conditional: true, body: &bodyRule{limit: poolkeeper.MaxDocument, about: "the token, kept to the byte", schema: anyObject{}, example: `{"accessToken":"...","refreshToken":"..."}`},
			answer: answerRule{tagged: true}, handle: s.putToken},
		{method: http.MethodPatch, path: one, id: "patch-token", summary: "Change fields of a token", tag: tag, codes: gone,
			about:       "With If-Match, so that no refresh undoes another.",
			conditional: true, body: &bodyRule{kind: patchBody, limit: poolkeeper.MaxDocument, about: "what to change", example: `{"accessToken":"..."}`}, handle: s.patchToken},
		{method: http.MethodDelete, path: one, id: "delete-token", summary: "Remove a token, for all providers that share it", tag: tag, codes: gone,
			conditional: true, handle: s.deleteToken},
	}
}

func (s *Server) getToken(x *exchange) error {
	ref, err := x.ref()
	if err != nil {
		return err
	}
	t, err := s.store.Token(x.r.Context(), ref)
	if err != nil {
		return err
	}
	return x.document(t.ETag(), t.Data)
}

func (s *Server) putToken(x *exchange) error {
	ref, err := x.ref()
	if err != nil {
		return err
	}
	return x.write(poolkeeper.ETag(x.body), func(cond poolkeeper.If) (poolkeeper.Result, error) {
		return s.store.PutToken(x.r.Context(), ref, x.body, cond)
	})
}

func (s *Server) patchToken(x *exchange) error {
	ref, err := x.ref()
	if err != nil {
		return err
	}
	return x.write("", func(cond poolkeeper.If) (poolkeeper.Result, error) {
		return s.store.PatchToken(x.r.Context(), ref, x.dialect(), x.body, cond)
	})
}

func (s *Server) deleteToken(x *exchange) error {
	ref, err := x.ref()
	if err != nil {
		return err
	}
	return x.write("", func(cond poolkeeper.If) (poolkeeper.Result, error) {
		return s.store.DeleteToken(x.r.Context(), ref, cond)
	})
}
