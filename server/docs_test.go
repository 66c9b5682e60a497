package server

import (
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDocs: the page has every operation of the document with all that belongs to
// it, is well-formed, and a browser asks nobody for anything.
func TestDocs(t *testing.T) {
	s := start(t)
	a := s.send("GET", pathDocs, "", "Authorization", "")
	if a.status != 200 || a.header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("%d %s", a.status, a.header.Get("Content-Type"))
	}
	checkMarkup(t, a.body)
	for tag, op := range operations(s.srv) {
		section := between(a.body, `<article id="`+op.OperationID+`">`, "</article>")
		if section == "" {
			t.Errorf("%s is not on the page", tag)
			continue
		}
		want := []string{op.Summary, op.Description, op.Method, op.Path, "<h4>Example</h4>"}
		for _, p := range op.Parameters {
			want = append(want, p.Name, p.Description)
		}
		if op.RequestBody != nil {
			want = append(want, op.RequestBody.Description, slices.Collect(maps.Keys(op.RequestBody.Content))[0])
		}
		for status, r := range op.Responses {
			want = append(want, "<td>"+status+"</td>", r.Description)
			for media, m := range r.Content {
				want = append(want, media, exampleText(m.Example))
			}
		}
		text := unescape.Replace(section)
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s: %q is not on the page", tag, w)
			}
		}
	}
	for name := range s.srv.api.Components.Schemas.Map() {
		if !strings.Contains(a.body, `<article id="schema-`+name+`">`) {
			t.Errorf("schema %s is not on the page", name)
		}
	}
	for _, link := range regexp.MustCompile(`href="#([^"]*)"`).FindAllStringSubmatch(a.body, -1) {
		if !strings.Contains(a.body, `id="`+link[1]+`"`) {
			t.Errorf("#%s leads nowhere", link[1])
		}
	}
	// Nothing may be loaded or run, and the one style is the page's own.
	policy := a.header.Get("Content-Security-Policy")
	style := between(a.body, "<style>", "</style>")
	if style == "" || policy != "default-src 'none'; style-src 'sha256-"+hashOf(style)+"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'" {
		t.Errorf("policy %q", policy)
	}
	if strings.Contains(style, "url(") || strings.Contains(style, "@import") {
		t.Error("the style loads something")
	}
	if s.send("HEAD", pathDocs, "", "Authorization", "").status != 200 {
		t.Error("HEAD is refused")
	}
	for _, method := range []string{"POST", "PUT", "DELETE"} {
		if a := s.send(method, pathDocs, ""); a.status != 405 {
			t.Errorf("%s: %d", method, a.status)
		}
	}
	if a := s.send("GET", pathDocs+"?x=true", ""); a.status != 400 {
		t.Errorf("a parameter: %d", a.status)
	}
}

var unescape = strings.NewReplacer("&#34;", `"`, "&#39;", "'", "&#43;", "+", "&lt;", "<", "&gt;", ">", "&amp;", "&")

func between(s, from, to string) string {
	_, rest, _ := strings.Cut(s, from)
	in, _, ok := strings.Cut(rest, to)
	if !ok {
		return ""
	}
	return in
}

// checkMarkup reads the page as strictly as XML is read: every tag is closed in
// its place, no id stands twice, and no element is one that loads or runs
// something.
func checkMarkup(t *testing.T, page string) {
	t.Helper()
	harmless := strings.Fields("html head meta title style body nav main section article h1 h2 h3 h4 p ul li a b small span code pre table tr th td br")
	ids := map[string]bool{}
	dec := xml.NewDecoder(strings.NewReader(page))
	dec.Entity = xml.HTMLEntity
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the page is not well-formed: %v", err)
		}
		el, ok := tok.(xml.StartElement)
		if !ok {
			continue
		}
		if !slices.Contains(harmless, el.Name.Local) {
			t.Errorf("there is a <%s>", el.Name.Local)
		}
		for _, attr := range el.Attr {
			switch name := attr.Name.Local; {
			case name == "id":
				if ids[attr.Value] {
					t.Errorf("the id %s stands twice", attr.Value)
				}
				ids[attr.Value] = true
			case name == "href":
				if !strings.HasPrefix(attr.Value, "#") && attr.Value != pathOpenAPI {
					t.Errorf("a link leads to %s", attr.Value)
				}
			case name == "src" || name == "style" || strings.HasPrefix(name, "on"):
				t.Errorf("<%s> has %s", el.Name.Local, name)
			}
		}
	}
	if len(ids) < 50 {
		t.Errorf("only %d ids", len(ids))
	}
}

// TestDocsExamples: the command lines of the page do what they say, on a store
// that has the provider of the examples.
func TestDocsExamples(t *testing.T) {
	s := start(t)
	for tag, op := range operations(s.srv) {
		switch op.OperationID {
		case "login", "restore", "events", "recover": // whose code is used, whose store has content, whose answer has no end, whose store is not lost
			continue
		}
		s.srv.store = queued(t, emptyStore(t))
		s.want(200, "PUT", "/config", `{}`)
		s.want(201, "POST", "/pools/"+exampleType, `{"uuid":"`+exampleID+`"}`)
		s.want(200, "PUT", "/tokens/"+exampleType+"/"+exampleID, `{}`)
		s.want(200, "PUT", "/documents/plugins.json", `{}`)
		s.want(200, "PUT", "/sessions", `{}`, "Session-Bearer", "5f0c9a77")
		line := curlOf(op)
		a := s.curl(line)
		if a.status >= 300 {
			t.Errorf("%s: %d: %s\n%s", tag, a.status, line, a.body)
		}
	}
}

// curl does what curl does with the line: the shell takes it apart.
func (s *service) curl(line string) answer {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), "sh", "-c", `curl() { printf '%s\0' "$@"; }; `+line)
	cmd.Env = []string{"KEY=" + testKey, "URL="}
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("%s: %v", line, err)
	}
	args := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	method, body, headers := "GET", "", []string{"Authorization", "", "Content-Type", ""}
	for i := 1; i < len(args)-1; i += 2 { // after -sS
		switch args[i] {
		case "-X":
			method = args[i+1]
		case "-H":
			name, value, _ := strings.Cut(args[i+1], ": ")
			headers = append(headers, name, value)
		case "--data-binary":
			body = args[i+1]
		default:
			s.t.Fatalf("%s: curl has %s", line, args[i])
		}
	}
	return s.send(method, args[len(args)-1], body, headers...)
}
