package server

import (
	"net/http"
	"strconv"
	"unicode/utf8"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// An answerKind says what a route answers when all is well.
type answerKind int

const (
	writeAnswer answerKind = iota // a written
	jsonAnswer                    // a document, or what schema says
	linesAnswer                   // lines of JSON
)

// An answerRule says what a route answers.
type answerRule struct {
	kind   answerKind
	status int // 200 where it is 0
	about  string
	media  string // JSON where it is empty
	// example is a body; that of a write has one where this is empty.
	example string
	schema  any  // a value of the Go type; nil for any JSON
	tagged  bool // carries an ETag, and honours If-None-Match where it is a read
	// creates says that the write may add a provider: the answer is then 201,
	// with a Location.
	creates bool
}

// written is the answer to every write. It is written by hand, below: it is the
// answer of the path that every request of a gateway takes.
type written struct {
	Status       poolkeeper.Status `json:"status" enum:"applied,queued,buffered" doc:"what the acknowledgement means: executed by the store; synced to this instance's journal; in its memory only"`
	Revision     string            `json:"revision,omitempty" doc:"of the pool, token or document, after the write"`
	Changed      bool              `json:"changed" doc:"false where all was so already"`
	ID           string            `json:"id,omitempty" doc:"of the provider, where it is not the one of the path"`
	UsageCount   *int64            `json:"usageCount,omitempty" doc:"the new count, after usage, success and reset"`
	ErrorCount   *int64            `json:"errorCount,omitempty" doc:"the new count, after error, health and the phases done and failed of a refresh"`
	RefreshCount *int64            `json:"refreshCount,omitempty" doc:"the new count, after the phases needed and started of a refresh"`
	IsHealthy    *bool             `json:"isHealthy,omitempty" doc:"after a write on the health of a provider"`
}

// A news is what an answer to a write has beside the result.
type news struct {
	counter poolkeeper.Field // with count
	count   bool
	health  bool
	id      string // of the path; another one in the result is told
	tag     string // the ETag of what was written, where it is known
}

// answer tells the client what became of a write.
func (x *exchange) answer(status int, res poolkeeper.Result, n news) error {
	b := append(x.scratch[:0], `{"status":`...)
	b = rawjson.AppendQuote(b, string(res.Status))
	known := res.Status == poolkeeper.Applied // what waits has no outcome yet
	if known {
		b = append(b, `,"revision":`...)
		b = rawjson.AppendQuote(b, res.Revision.String())
	}
	b = append(b, `,"changed":`...)
	b = strconv.AppendBool(b, res.Changed)
	if res.ID != "" && res.ID != n.id {
		b = append(b, `,"id":`...)
		b = rawjson.AppendQuote(b, res.ID)
	}
	if n.count && known {
		b = append(b, ',', '"')
		b = append(b, n.counter.String()...)
		b = append(b, '"', ':')
		b = strconv.AppendInt(b, res.Count, 10)
	}
	if n.health && known {
		b = append(b, `,"isHealthy":`...)
		b = strconv.AppendBool(b, res.Healthy)
	}
	if n.tag != "" {
		x.setTag(n.tag)
	}
	x.send(status, jsonType, append(b, '}', '\n'))
	return nil
}

// created answers a write that added a provider.
func (x *exchange) created(ref poolkeeper.Ref, res poolkeeper.Result, n news) error {
	x.Header()["Location"] = []string{providerPath(ref)}
	return x.answer(http.StatusCreated, res, n)
}

func (x *exchange) setTag(tag string) { x.Header()["Etag"] = []string{`"` + tag + `"`} }

// document answers with bytes as they are kept, or with less where the client
// has them already.
func (x *exchange) document(tag string, data []byte) error {
	x.setTag(tag)
	if x.unmodified(tag) {
		x.status = http.StatusNotModified
		x.inner.WriteHeader(x.status)
		return nil
	}
	contentType := jsonType
	if rawjson.Valid(data) != nil || !utf8.Valid(data) { // carried as it was found
		contentType = opaqueType
	}
	x.send(http.StatusOK, contentType, data)
	return nil
}
