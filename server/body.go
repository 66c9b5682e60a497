package server

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// A bodyKind says how a body is read.
type bodyKind int

const (
	rawBody   bodyKind = iota // a document: kept to the byte
	patchBody                 // a patch, in the dialect that its content type names
	smallBody                 // the fields of a command
	linesBody                 // lines of JSON, which the handler reads by itself
	emptyBody                 // none
)

// A bodyRule says what body a route takes.
type bodyRule struct {
	kind     bodyKind
	limit    int
	optional bool
	about    string
	schema   any    // a value of the Go type; nil for any JSON
	example  string // of a body
}

// noBody is the rule of a route that takes no body.
var noBody = &bodyRule{kind: emptyBody}

// Limits of bodies. A pool that is put whole is as much as the largest thing
// that the store carries.
const (
	maxPool    = poolkeeper.MaxFile
	maxCommand = 6*poolkeeper.MaxMessage + 4096 // a message, every byte of it escaped
	maxTiny    = 4096
)

const (
	typeJSON  = "application/json"
	typeMerge = "application/merge-patch+json"
	typePatch = "application/json-patch+json"
	typeLines = "application/x-ndjson"
)

// readBody reads the body of the request as the rule has it.
func (x *exchange) readBody(rule *bodyRule) error {
	if rule.kind == emptyBody {
		return x.refuseBody()
	}
	if enc := x.r.Header["Content-Encoding"]; len(enc) > 0 && !strings.EqualFold(enc[0], "identity") {
		return refuse(http.StatusUnsupportedMediaType, "send it as it is", "a body with a Content-Encoding is not taken")
	}
	if x.r.ContentLength > int64(rule.limit) {
		// What was not read would have to be, for the connection to go on.
		x.Header().Set("Connection", "close")
		return tooLarge(rule.limit)
	}
	if rule.kind == linesBody {
		x.lines = &lineReader{r: http.MaxBytesReader(x.inner, x.r.Body, int64(rule.limit)), limit: rule.limit}
		return x.checkType(rule.kind)
	}
	if err := x.fill(rule); err != nil {
		return err
	}
	if len(x.body) == 0 {
		if rule.optional {
			return nil
		}
		return poolkeeper.Errorf(poolkeeper.ErrInvalid, "the request has no body")
	}
	if err := x.checkType(rule.kind); err != nil {
		return err
	}
	if err := rawjson.ValidUTF8(x.body); err != nil {
		return poolkeeper.Errorf(poolkeeper.ErrInvalid, "the body: %v", err).WithHint("send it as UTF-8")
	}
	return nil
}

// refuseBody refuses a body where none is taken: whoever sends one expects it to
// count. That of a GET means nothing anywhere.
func (x *exchange) refuseBody() error {
	n := x.r.ContentLength
	if x.r.Method == http.MethodGet || x.r.Method == http.MethodHead {
		n = 0
	}
	if n < 0 {
		got, _ := io.ReadFull(x.r.Body, x.scratch[:1])
		n = int64(got)
	}
	if n == 0 {
		return nil
	}
	x.Header().Set("Connection", "close") // what was not read would have to be
	return poolkeeper.Errorf(poolkeeper.ErrInvalid, "no body is taken here").WithHint("leave the body out")
}

// fill reads the body. A command is read without allocating; what the store may
// keep gets bytes of its own.
func (x *exchange) fill(rule *bodyRule) error {
	var buf []byte
	body := x.r.Body // one with a length ends there, and that was looked at
	switch n := x.r.ContentLength; {
	case n == 0:
		return nil
	case n < 0:
		body = http.MaxBytesReader(x.inner, body, int64(rule.limit))
	case rule.kind == smallBody && n < int64(len(x.scratch)):
		buf = x.scratch[:0]
	default:
		buf = make([]byte, 0, n+1) // one more, for the read that finds the end
	}
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := body.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case err == nil:
			continue
		case err == io.EOF:
			x.body = buf
			return nil
		}
		var over *http.MaxBytesError
		if errors.As(err, &over) {
			return tooLarge(rule.limit)
		}
		return poolkeeper.Errorf(poolkeeper.ErrInvalid, "the body ended before it was complete")
	}
}

// A lineReader reads a body that is not held in memory. Its errors are ours.
type lineReader struct {
	r     io.Reader
	limit int
}

func (l *lineReader) Read(b []byte) (int, error) {
	n, err := l.r.Read(b)
	if err == nil || err == io.EOF {
		return n, err
	}
	var over *http.MaxBytesError
	if errors.As(err, &over) {
		return n, tooLarge(l.limit)
	}
	return n, poolkeeper.Errorf(poolkeeper.ErrInvalid, "the body ended before it was complete")
}

func tooLarge(limit int) error {
	return poolkeeper.Errorf(poolkeeper.ErrTooLarge, "the body exceeds %d bytes", limit)
}

// checkType refuses a body that does not say that it is JSON. Only a PUT may
// leave that out: its body can be nothing else.
func (x *exchange) checkType(kind bodyKind) error {
	given := x.r.Header["Content-Type"]
	if len(given) == 0 && x.r.Method == http.MethodPut {
		return nil
	}
	if len(given) == 1 {
		media, ok := mediaType(given[0])
		switch {
		case !ok:
		case kind == linesBody && media == typeLines,
			kind != linesBody && media == typeJSON,
			kind == patchBody && (media == typeMerge || media == typePatch):
			return nil
		}
	}
	hint := "send Content-Type: " + typeJSON
	switch kind {
	case patchBody:
		hint = "send Content-Type: " + typeMerge + " or " + typePatch
	case linesBody:
		hint = "send Content-Type: " + typeLines
	}
	return refuse(http.StatusUnsupportedMediaType, hint, "the Content-Type of the body is not one that is taken here")
}

// mediaType returns the type without its parameters. JSON has no charset but
// UTF-8.
func mediaType(value string) (media string, ok bool) {
	if value == typeJSON {
		return value, true
	}
	media, params, err := mime.ParseMediaType(value)
	if err != nil {
		return "", false
	}
	for name, v := range params {
		if name != "charset" || !strings.EqualFold(v, "utf-8") {
			return "", false
		}
	}
	return media, true
}

// dialect returns the dialect of a patchBody: plain JSON is a merge patch.
func (x *exchange) dialect() poolkeeper.PatchKind {
	if media, _ := mediaType(x.r.Header.Get("Content-Type")); media == typePatch {
		return poolkeeper.JSONPatch
	}
	return poolkeeper.MergePatch
}
