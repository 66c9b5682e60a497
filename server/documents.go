package server

import (
	"maps"
	"net/http"
	"slices"

	"github.com/poolkeeper/poolkeeper"
)

// A documentEntry is a document in the list of them.
type documentEntry struct {
	Name string `json:"name" doc:"the name"`
	Size int    `json:"size" doc:"in bytes"`
	ETag string `json:"etag" doc:"as in the ETag header, without its quotes"`
}

func (s *Server) documentRoutes() []route {
	const tag, one = "documents", base + "/documents/{name}"
	put := &bodyRule{limit: poolkeeper.MaxDocument, about: "the document, kept to the byte", example: `{"note":"any JSON"}`}
	patch := &bodyRule{kind: patchBody, limit: poolkeeper.MaxDocument, about: "what to change", example: `{"note":"another"}`}
	read := answerRule{kind: jsonAnswer, about: "the document as it is kept", tagged: true}
	return []route{
		{method: http.MethodGet, path: base + "/config", id: "get-config", summary: "Read the configuration", tag: tag, codes: gone,
			answer: read, handle: s.getConfig},
		{method: http.MethodPut, path: base + "/config", id: "put-config", summary: "Replace the configuration", tag: tag,
			conditional: true, body: put, answer: answerRule{tagged: true}, handle: s.putConfig},
		{method: http.MethodPatch, path: base + "/config", id: "patch-config", summary: "Change fields of the configuration", tag: tag, codes: gone,
			conditional: true, body: patch, handle: s.patchConfig},
		{method: http.MethodGet, path: base + "/documents", id: "list-documents", summary: "List the documents", tag: tag,
			answer: answerRule{kind: jsonAnswer, about: "the documents, by name", schema: []documentEntry{},
				example: `[{"name":"plugins.json","size":118,"etag":"3b0c44298fc1c149afbf4c8996fb9242"}]`}, handle: s.listDocuments},
		{method: http.MethodGet, path: one, id: "get-document", summary: "Read a document", tag: tag, codes: gone,
			answer: read, handle: s.getDocument},
		{method: http.MethodPut, path: one, id: "put-document", summary: "Replace or add a document", tag: tag,
			conditional: true, body: put, answer: answerRule{tagged: true}, handle: s.putDocument},
		{method: http.MethodPatch, path: one, id: "patch-document", summary: "Change fields of a document", tag: tag, codes: gone,
			conditional: true, body: patch, handle: s.patchDocument},
		{method: http.MethodDelete, path: one, id: "delete-document", summary: "Remove a document", tag: tag, codes: gone,
			conditional: true, handle: s.deleteDocument},
	}
}

func (s *Server) getConfig(x *exchange) error {
	d, err := s.store.Config(x.r.Context())
	if err != nil {
		return err
	}
	return x.document(d.ETag(), d.Data)
}

func (s *Server) putConfig(x *exchange) error {
	return x.write(poolkeeper.ETag(x.body), func(cond poolkeeper.If) (poolkeeper.Result, error) {
		return s.store.PutConfig(x.r.Context(), x.body, cond)
	})
}

func (s *Server) patchConfig(x *exchange) error {
	return x.write("", func(cond poolkeeper.If) (poolkeeper.Result, error) {
		return s.store.PatchConfig(x.r.Context(), x.dialect(), x.body, cond)
	})
}

func (s *Server) listDocuments(x *exchange) error {
	docs, err := s.store.Documents(x.r.Context())
	if err != nil {
		return err
	}
	list := make([]documentEntry, 0, len(docs))
	for _, name := range slices.Sorted(maps.Keys(docs)) {
		list = append(list, documentEntry{name, len(docs[name].Data), docs[name].ETag()})
	}
	return x.sendValue(list)
}

func (s *Server) getDocument(x *exchange) error {
	name, err := x.pathValue("name")
	if err != nil {
		return err
	}
	d, err := s.store.Document(x.r.Context(), name)
	if err != nil {
		return err
	}
	return x.document(d.ETag(), d.Data)
}

func (s *Server) putDocument(x *exchange) error {
	name, err := x.pathValue("name")
	if err != nil {
		return err
	}
	return x.write(poolkeeper.ETag(x.body), func(cond poolkeeper.If) (poolkeeper.Result, error) {
		return s.store.PutDocument(x.r.Context(), name, x.body, cond)
	})
}

func (s *Server) patchDocument(x *exchange) error {
	name, err := x.pathValue("name")
	if err != nil {
		return err
	}
	return x.write("", func(cond poolkeeper.If) (poolkeeper.Result, error) {
		return s.store.PatchDocument(x.r.Context(), name, x.dialect(), x.body, cond)
	})
}

func (s *Server) deleteDocument(x *exchange) error {
	name, err := x.pathValue("name")
	if err != nil {
		return err
	}
	return x.write("", func(cond poolkeeper.If) (poolkeeper.Result, error) {
		return s.store.DeleteDocument(x.r.Context(), name, cond)
	})
}

// write does one conditional write of a value, and answers it.
func (x *exchange) write(tag string, do func(poolkeeper.If) (poolkeeper.Result, error)) error {
	cond, err := x.condition()
	if err != nil {
		return err
	}
	res, err := do(cond)
	if err != nil {
		return err
	}
	return x.answer(http.StatusOK, res, news{id: res.ID, tag: tag})
}
