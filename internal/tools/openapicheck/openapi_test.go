package openapicheck

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

var farFuture = time.Date(2096, 1, 1, 0, 0, 0, 0, time.UTC)

func get(t *testing.T, url string) []byte {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %v", url, res.StatusCode, err)
	}
	return b
}

// TestDocument: what the service serves is an OpenAPI 3.1 document.
func TestDocument(t *testing.T) {
	raw, doc := document(t)
	if ok, errs := newChecker(t, raw).v.ValidateDocument(); !ok {
		for _, e := range errs {
			t.Errorf("%s: %s", e.Message, e.Reason)
		}
	}
	if len(doc.Paths) < 20 {
		t.Errorf("%d paths", len(doc.Paths))
	}
	broken := bytes.Replace(raw, []byte(`"in":"path"`), []byte(`"in":"nowhere"`), 1)
	if ok, _ := newChecker(t, broken).v.ValidateDocument(); ok {
		t.Error("a parameter that is nowhere is not noticed")
	}
}

// A call is a request that is made of the examples of an operation.
type call struct {
	op     *operation
	path   string
	query  string
	media  string
	body   []byte
	header map[string]string
	key    string
	host   string
	expect int64 // a Content-Length that is only announced
}

func newCall(op *operation) *call {
	c := &call{op: op, path: op.Path, header: map[string]string{}, key: "Bearer " + apiKey}
	for _, p := range op.Parameters {
		switch {
		case p.In == "path":
			c.path = strings.ReplaceAll(c.path, "{"+p.Name+"}", p.Example)
		case p.In == "header" && p.Required:
			c.header[p.Name] = p.Example
		}
	}
	if op.OperationID == "order-pools" {
		c.query = "order=true"
	}
	if op.RequestBody != nil {
		for _, media := range slices.Sorted(maps.Keys(op.RequestBody.Content)) {
			c.take(media)
			break
		}
	}
	return c
}

// take uses the example of a media type.
func (c *call) take(media string) {
	c.media, c.body = media, c.op.RequestBody.Content[media].Example
	var text string
	if json.Unmarshal(c.body, &text) == nil {
		c.body = []byte(text)
	}
	if c.op.OperationID == "order-pools" {
		c.body = []byte(`["` + typ + `","another"]`)
	}
}

func (c *call) send(t *testing.T, check *checker, s *service) (int, []byte) {
	t.Helper()
	url := s.url + c.path
	if c.query != "" {
		url += "?" + c.query
	}
	var body io.Reader
	if len(c.body) > 0 {
		body = bytes.NewReader(c.body)
	}
	if c.expect > 0 {
		body = io.MultiReader() // of which net/http does not see that it is empty
	}
	req, err := http.NewRequestWithContext(t.Context(), c.op.Method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range c.header {
		req.Header.Set(name, value)
	}
	if len(c.body) > 0 {
		req.Header.Set("Content-Type", c.media)
	}
	if c.key != "" && (c.op.Security == nil || len(*c.op.Security) > 0) {
		req.Header.Set("Authorization", c.key)
	}
	if c.expect > 0 {
		req.ContentLength = c.expect
		req.Header.Set("Expect", "100-continue") // the answer comes first
	}
	req.Host = c.host
	return check.exchange(t, c.op.Path, req, c.body)
}

// TestOperations: every operation of the document is sent with its own examples,
// and then with every fault that it names a status for. All that is answered is
// as the document says, and all that the document says is answered.
func TestOperations(t *testing.T) {
	raw, doc := document(t)
	check := newChecker(t, raw)
	for _, methods := range doc.Paths {
		for _, op := range methods {
			t.Run(op.OperationID, func(t *testing.T) {
				successes(t, check, op)
				for status := range op.Responses {
					refusal(t, check, op, status)
				}
				for status := range op.Responses {
					if name := op.Method + " " + op.Path + " " + status; !check.seen[name] && !unprovoked(op, status) {
						t.Errorf("%s is documented, and was never answered", name)
					}
				}
			})
		}
	}
	t.Logf("%d statuses of %d paths", len(check.seen), len(doc.Paths))
}

// unprovoked are faults of the service itself, where no store is asked that could
// have one.
func unprovoked(op *operation, status string) bool {
	return status == "500" && (op.Responses["503"] == nil || op.OperationID == "readyz")
}

func successes(t *testing.T, check *checker, op *operation) {
	t.Helper()
	ok := func(change func(*service, *call)) {
		t.Helper()
		s := serve(t, op.OperationID == "restore")
		c := newCall(op)
		if op.OperationID == "login" {
			c.key, c.body = "", []byte(`{"code":"`+s.srv.LoginCode()+`"}`)
		}
		change(s, c)
		status, body := c.send(t, check, s)
		if status >= 400 {
			t.Errorf("%s %s?%s %s: %d %s", op.Method, c.path, c.query, c.body, status, body)
		}
	}
	ok(func(*service, *call) {})
	if op.RequestBody != nil {
		for media := range op.RequestBody.Content {
			ok(func(_ *service, c *call) {
				if op.OperationID != "login" {
					c.take(media)
				}
			})
		}
		if !op.RequestBody.Required {
			ok(func(_ *service, c *call) { c.body, c.key = nil, "Bearer "+apiKey })
		}
	}
	for _, p := range op.Parameters {
		if p.In == "query" && p.Name == "definition" {
			ok(func(_ *service, c *call) { c.query = "definition=true" })
		}
	}
	switch op.OperationID {
	case "put-pool":
		ok(func(_ *service, c *call) { c.query, c.body = "order=true", []byte(`["`+other+`","`+id+`"]`) })
	case "put-provider": // which may add one
		ok(func(_ *service, c *call) {
			c.path = strings.Replace(c.path, id, "new", 1)
			c.body = []byte(`{"uuid":"new"}`)
		})
		ok(func(_ *service, c *call) { c.header["If-Match"] = "*" })
	case "apply": // an op that is refused
		ok(func(_ *service, c *call) {
			c.body = []byte(`[{"kind":"usage","key":{"kind":"pool","type":"t"},"id":"no","n":1}]`)
		})
	case "provider-refresh-state":
		for _, phase := range []string{"needed", "done", "failed"} {
			ok(func(_ *service, c *call) { c.body = []byte(`{"phase":"` + phase + `"}`) })
		}
	case "retry-aside", "discard-aside":
		ok(func(_ *service, c *call) { c.body = []byte(`{"all":true}`) })
	case "put-session":
		ok(func(_ *service, c *call) { c.header["Session-Expires"] = "2096-06-01T13:00:00Z" })
	}
	if op.takes("Idempotency-Key") {
		ok(func(_ *service, c *call) { c.header["Idempotency-Key"] = "one" })
	}
	if op.Responses["304"] != nil {
		ok(func(_ *service, c *call) { c.header["If-None-Match"] = "*" })
	}
}

// refusal provokes a status in every way that leads to it.
func refusal(t *testing.T, check *checker, op *operation, status string) {
	t.Helper()
	refused := func(change func(*service, *call)) {
		t.Helper()
		s := serve(t, false)
		c := newCall(op)
		change(s, c)
		if got, body := c.send(t, check, s); fmt.Sprint(got) != status {
			t.Errorf("%s %s: %d, want %s: %s", op.Method, c.path, got, status, body)
		}
	}
	failing := func(err error) {
		t.Helper()
		refused(func(s *service, _ *call) { s.store.err = err })
	}
	switch status {
	case "400":
		refused(func(_ *service, c *call) { c.query = "no-such=true" })
		if op.RequestBody != nil {
			refused(func(_ *service, c *call) { c.body = []byte(`{"`) })
		}
	case "401":
		for _, key := range []string{"", "Bearer ", "Bearer wrong", "Basic x"} {
			refused(func(_ *service, c *call) { c.key = key })
		}
	case "403":
		refused(func(_ *service, c *call) { c.host = "evil.example" })
		refused(func(_ *service, c *call) { c.header["Origin"] = "http://evil.example" })
	case "404":
		refused(func(s *service, c *call) {
			switch {
			case strings.Contains(op.Path, "{id}"):
				c.path = strings.Replace(c.path, id, "no-such", 1)
			case strings.Contains(op.Path, "{type}"):
				c.path = strings.Replace(c.path, typ, "no-such", 1)
				if op.OperationID == "put-pool" {
					c.query, c.body = "order=true", []byte(`["x"]`)
				}
			case strings.Contains(op.Path, "{name}"):
				c.path = strings.Replace(c.path, "plugins", "no-such", 1)
			case c.header["Session-Bearer"] != "":
				c.header["Session-Bearer"] = "no-such"
			default:
				s.store.err = poolkeeper.Errorf(poolkeeper.ErrNotFound, "there is none")
			}
		})
	case "409":
		refused(func(s *service, c *call) {
			switch op.OperationID {
			case "recover":
				s.store.err = poolkeeper.Errorf(poolkeeper.ErrExists, "the store has other content")
			case "add-provider":
				c.body = []byte(`{"uuid":"` + id + `"}`)
			case "rename-provider":
				c.body = []byte(`{"id":"` + other + `"}`)
			}
		})
	case "412":
		if op.takes("If-Match") {
			refused(func(_ *service, c *call) { c.header["If-Match"] = `"0123456789abcdef0123456789abcdef"` })
		}
		failing(poolkeeper.Errorf(poolkeeper.ErrConflict, "it changes again and again").WithHint("try again"))
	case "413":
		if strings.Contains(op.Path, "{type}") {
			refused(func(_ *service, c *call) {
				c.path = strings.Replace(c.path, typ, strings.Repeat("x", 600), 1)
			})
		}
		if op.RequestBody != nil {
			refused(func(_ *service, c *call) { c.expect = 2 << 30 })
		}
	case "415":
		refused(func(_ *service, c *call) { c.media = "text/plain" })
		refused(func(_ *service, c *call) { c.header["Content-Encoding"] = "gzip" })
	case "422":
		refused(func(s *service, c *call) {
			c.header["Idempotency-Key"] = "one"
			c.send(t, check, s)
			c.body = []byte(`{"n":2}`)
		})
	case "429":
		refused(func(s *service, c *call) {
			for range 10 {
				if op.OperationID == "login" {
					c.key = ""
				}
				if got, _ := c.send(t, check, s); got == http.StatusTooManyRequests {
					return
				}
			}
		})
	case "500":
		if unprovoked(op, status) {
			return
		}
		failing(errors.New("a fault of our own"))
		failing(poolkeeper.Errorf(poolkeeper.ErrDamaged, "it is damaged"))
	case "503":
		for _, err := range []error{poolkeeper.ErrUnavailable, poolkeeper.ErrUninitialized, poolkeeper.ErrForeign, poolkeeper.ErrLost, poolkeeper.ErrClosed} {
			failing(poolkeeper.Errorf(err, "it is so").WithHint("do something"))
		}
	case "504":
		failing(poolkeeper.Errorf(poolkeeper.ErrIndeterminate, "no answer came"))
	}
}

// TestItNotices: the check fails where a service does what is not documented.
func TestItNotices(t *testing.T) {
	raw, _ := document(t)
	usage := "/api/v1/pools/" + typ + "/" + id + "/usage"
	for name, c := range map[string]struct {
		status      int
		media, body string
	}{
		"an undocumented status":           {418, "application/problem+json", `{"type":"urn:x","title":"t","status":418,"code":"c","detail":"d"}`},
		"an undocumented success":          {202, "application/json", `{"status":"applied","revision":"1","changed":true}`},
		"an undocumented field":            {200, "application/json", `{"status":"applied","revision":"1","changed":true,"secret":1}`},
		"a field that is missing":          {200, "application/json", `{"status":"applied","revision":"1"}`},
		"a field of another type":          {200, "application/json", `{"status":"applied","revision":7,"changed":true}`},
		"a value that is none of the enum": {200, "application/json", `{"status":"done","revision":"1","changed":true}`},
		"another content type":             {200, "text/html", `<p>`},
		"a problem that is none":           {404, "application/problem+json", `{"error":"x"}`},
	} {
		t.Run(name, func(t *testing.T) {
			hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", c.media)
				w.WriteHeader(c.status)
				io.WriteString(w, c.body)
			}))
			defer hs.Close()
			req, _ := http.NewRequest("POST", hs.URL+usage, nil)
			req.Header.Set("Authorization", "Bearer "+apiKey)
			res, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if len(newChecker(t, raw).faults(req, res)) == 0 {
				t.Error("it is not noticed")
			}
		})
	}
}
