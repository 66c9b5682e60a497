package openapicheck

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"sync"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	"github.com/pb33f/libopenapi-validator/content"
	"github.com/pb33f/libopenapi-validator/errors"
)

// A checker is the validator over the document that a service serves. It keeps
// in mind what it has seen.
type checker struct {
	v    validator.Validator
	mu   sync.Mutex
	seen map[string]bool // METHOD path status
}

func newChecker(t *testing.T, document []byte) *checker {
	t.Helper()
	doc, err := libopenapi.NewDocument(document)
	if err != nil {
		t.Fatal(err)
	}
	v, errs := validator.NewValidator(doc, config.WithFormatAssertions(), config.WithContentAssertions(), config.WithRejectUndeclaredRequestBody(),
		config.WithBodyDecoder("application/x-ndjson", content.DecoderFunc(lines)))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return &checker{v: v, seen: map[string]bool{}}
}

// lines reads a body of several lines of JSON, which the validator does not know.
func lines(in *content.DecodeInput) (any, error) {
	all := []any{}
	dec := json.NewDecoder(in.Body)
	for dec.More() {
		var one any
		if err := dec.Decode(&one); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// faults says what is wrong with an exchange. Of a refusal the request need not be
// as the document wants it: that may be why it is one.
func (c *checker) faults(req *http.Request, res *http.Response) []*errors.ValidationError {
	if res.StatusCode >= 400 {
		_, errs := c.v.ValidateHttpResponse(req, res)
		return errs
	}
	_, errs := c.v.ValidateHttpRequestResponse(req, res)
	return errs
}

// exchange sends a request and holds both sides to the document, as the operation
// of a path.
func (c *checker) exchange(t *testing.T, path string, req *http.Request, body []byte) (int, []byte) {
	t.Helper()
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatalf("%s %s: %v", req.Method, path, err)
	}
	got, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	// Both were read on their way.
	res.Body = io.NopCloser(bytes.NewReader(got))
	req.Body = io.NopCloser(bytes.NewReader(body))
	for _, e := range c.faults(req, res) {
		t.Errorf("%s %s answers %d %.300s: %s: %s", req.Method, path, res.StatusCode, got, e.Message, e.Reason)
		for _, s := range e.SchemaValidationErrors {
			t.Logf("  %s: %s", s.FieldPath, s.Reason)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[req.Method+" "+path+" "+strconv.Itoa(res.StatusCode)] = true
	return res.StatusCode, got
}
