package server

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// The reference pages are one page, made of the OpenAPI document when the service
// starts. It loads nothing, from here or elsewhere, and runs nothing.
var (
	//go:embed docs.html
	docsHTML string
	//go:embed docs.css
	docsCSS string

	docsTemplate = template.Must(template.New("docs").Parse(docsHTML))

	htmlType   = []string{"text/html; charset=utf-8"}
	docsPolicy = []string{"default-src 'none'; style-src 'sha256-" + hashOf(docsCSS) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"}
)

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}

type (
	docsData struct {
		CSS                         template.CSS
		Title, Version, Description string
		Groups                      []docsGroup
		Schemas                     []docsSchema
	}
	docsGroup struct {
		Tag        string
		Operations []docsOperation
	}
	docsOperation struct {
		ID, Method, Path, Summary, About, Access, Curl string
		Parameters                                     []docsParameter
		Body                                           *docsBody
		Answers                                        []docsAnswer
	}
	docsParameter struct {
		Name, In, About, Example string
		Required                 bool
		Type                     docsType
	}
	docsBody struct {
		About    string
		Required bool
		Media    []docsMedia
	}
	docsAnswer struct {
		Status, About string
		Headers       []docsParameter
		Media         []docsMedia
	}
	docsMedia struct {
		Media, Example string
		Type           docsType
	}
	docsSchema struct {
		Name, Example string
		Fields        []docsParameter
	}
	// docsType is a type in words; Ref is the schema that they end with.
	docsType struct{ Text, Ref, Rule string }
)

// renderDocs makes the page. It is made of our own table, so a failure is a fault
// of the program.
func renderDocs(doc *huma.OpenAPI) []byte {
	data := docsData{CSS: template.CSS(docsCSS), Title: doc.Info.Title, Version: doc.Info.Version, Description: doc.Info.Description}
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		item := doc.Paths[path]
		for _, op := range []*huma.Operation{item.Get, item.Put, item.Post, item.Patch, item.Delete} {
			if op == nil {
				continue
			}
			i := slices.IndexFunc(data.Groups, func(g docsGroup) bool { return g.Tag == op.Tags[0] })
			if i < 0 {
				i = len(data.Groups)
				data.Groups = append(data.Groups, docsGroup{Tag: op.Tags[0]})
			}
			data.Groups[i].Operations = append(data.Groups[i].Operations, docsOf(op))
		}
	}
	schemas := doc.Components.Schemas.Map()
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		s := docsSchema{Name: name}
		for _, field := range slices.Sorted(maps.Keys(schemas[name].Properties)) {
			p := schemas[name].Properties[field]
			s.Fields = append(s.Fields, docsParameter{Name: field, About: p.Description, Type: typeOf(p), Required: slices.Contains(schemas[name].Required, field)})
		}
		data.Schemas = append(data.Schemas, s)
	}
	var b bytes.Buffer
	if err := docsTemplate.Execute(&b, data); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func docsOf(op *huma.Operation) docsOperation {
	d := docsOperation{ID: op.OperationID, Method: op.Method, Path: op.Path, Summary: op.Summary, About: op.Description, Access: accessOf(op), Curl: curlOf(op)}
	for _, p := range op.Parameters {
		d.Parameters = append(d.Parameters, docsParameter{Name: p.Name, In: p.In, About: p.Description, Required: p.Required, Example: exampleText(p.Example), Type: typeOf(p.Schema)})
	}
	if op.RequestBody != nil {
		d.Body = &docsBody{About: op.RequestBody.Description, Required: op.RequestBody.Required, Media: mediaOf(op.RequestBody.Content)}
	}
	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		r := op.Responses[status]
		a := docsAnswer{Status: status, About: r.Description, Media: mediaOf(r.Content)}
		for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
			a.Headers = append(a.Headers, docsParameter{Name: name, About: r.Headers[name].Description})
		}
		d.Answers = append(d.Answers, a)
	}
	return d
}

func accessOf(op *huma.Operation) string {
	switch {
	case op.Security == nil:
		return "the key, or the cookie of a browser that has logged in"
	case len(op.Security) == 0:
		return "nothing"
	}
	return "the key, or what the body holds"
}

func mediaOf(content map[string]*huma.MediaType) []docsMedia {
	var out []docsMedia
	for _, media := range slices.Sorted(maps.Keys(content)) {
		m := content[media]
		out = append(out, docsMedia{Media: media, Example: exampleText(m.Example), Type: typeOf(m.Schema)})
	}
	return out
}

// exampleText is an example as people read it.
func exampleText(example any) string {
	switch e := example.(type) {
	case nil:
		return ""
	case string:
		return e
	case json.RawMessage:
		var b bytes.Buffer
		if json.Indent(&b, e, "", "  ") == nil {
			return b.String()
		}
	}
	panic(fmt.Sprintf("an example is a %T", example))
}

// typeOf says what a schema is in words.
func typeOf(s *huma.Schema) docsType {
	if s == nil {
		return docsType{Text: "any JSON"}
	}
	if s.Ref != "" {
		return docsType{Ref: s.Ref[strings.LastIndex(s.Ref, "/")+1:]}
	}
	var t docsType
	switch s.Type {
	case "":
		t.Text = "any JSON"
	case huma.TypeArray:
		item := typeOf(s.Items)
		t = docsType{Text: strings.TrimSpace("array of " + item.Text), Ref: item.Ref, Rule: item.Rule}
	case huma.TypeObject:
		t.Text = "object"
		if more, ok := s.AdditionalProperties.(*huma.Schema); ok && more.Type != "" {
			item := typeOf(more)
			t = docsType{Text: strings.TrimSpace("object of " + item.Text), Ref: item.Ref}
		}
	default:
		t.Text = s.Type
	}
	var rules []string
	if s.Format != "" && s.Format != "int64" {
		rules = append(rules, s.Format)
	}
	if s.ContentEncoding != "" {
		rules = append(rules, s.ContentEncoding)
	}
	if len(s.Enum) > 0 {
		words := make([]string, len(s.Enum))
		for i, e := range s.Enum {
			words[i] = fmt.Sprint(e)
		}
		rules = append(rules, "one of "+strings.Join(words, ", "))
	}
	if s.Minimum != nil && s.Maximum != nil {
		rules = append(rules, strconv.FormatFloat(*s.Minimum, 'f', -1, 64)+" to "+strconv.FormatFloat(*s.Maximum, 'f', -1, 64))
	}
	if s.MaxLength != nil {
		rules = append(rules, "at most "+strconv.Itoa(*s.MaxLength)+" characters")
	}
	if len(rules) > 0 {
		t.Rule = strings.Join(rules, "; ")
	}
	return t
}

// curlOf is a command line of the operation, with its examples.
func curlOf(op *huma.Operation) string {
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
	line := "curl -sS"
	if op.Method != http.MethodGet {
		line += " -X " + op.Method
	}
	if op.Security == nil {
		line += ` -H "Authorization: Bearer $KEY"`
	}
	path := op.Path
	for _, p := range op.Parameters {
		switch {
		case p.In == "path":
			path = strings.ReplaceAll(path, "{"+p.Name+"}", exampleText(p.Example))
		case p.In == "header" && p.Required:
			line += " -H " + quote(p.Name+": "+exampleText(p.Example))
		case p.Name == "order" && op.OperationID == "order-pools":
			path += "?order=true"
		}
	}
	if op.RequestBody != nil {
		for _, media := range []string{typeMerge, typeJSON, typeLines} {
			m := op.RequestBody.Content[media]
			if m == nil {
				continue
			}
			line += " -H " + quote("Content-Type: "+media)
			body := exampleText(m.Example)
			if raw, ok := m.Example.(json.RawMessage); ok {
				body = string(raw)
			}
			line += " --data-binary " + quote(body)
			break
		}
	}
	return line + ` "$URL` + path + `"`
}

func (s *Server) docsPage(x *exchange) error {
	x.Header()["Content-Security-Policy"] = docsPolicy
	x.send(http.StatusOK, htmlType, s.docs)
	return nil
}
