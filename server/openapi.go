package server

import (
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

const (
	exampleType = "openai-custom"
	exampleID   = "3f1c7a52-1d1b-4a35-9f0e-6d2a6f4a8c10"

	securityName = "key"
	cookieScheme = "cookie"
)

// newAPI returns the description that routes are added to.
func newAPI(version string) *huma.OpenAPI {
	return &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title:       "Poolkeeper",
			Version:     version,
			Description: "The shared state of AI-API gateways: pools of provider accounts, their health and usage counters, their tokens, and the configuration.",
		},
		Components: &huma.Components{
			Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
			SecuritySchemes: map[string]*huma.SecurityScheme{
				securityName: {Type: "http", Scheme: "bearer", Description: "the API key of the service"},
				cookieScheme: {Type: "apiKey", In: "cookie", Name: cookieName, Description: "the session of a browser that has logged in"},
			},
		},
		Security: []map[string][]string{{securityName: {}}, {cookieScheme: {}}},
	}
}

// encodeOpenAPI writes the document. It is made of our own table, so a failure
// is a fault of the program.
func encodeOpenAPI(api *huma.OpenAPI) []byte {
	b, err := json.Marshal(api)
	if err != nil {
		panic(err)
	}
	return b
}

// operation describes a route.
func (rt *route) operation(schemas huma.Registry) *huma.Operation {
	op := &huma.Operation{
		OperationID: rt.id,
		Method:      rt.method,
		Path:        rt.path,
		Summary:     rt.summary,
		Description: rt.about,
		Tags:        []string{rt.tag},
		Parameters:  rt.parameters(),
		Responses:   rt.responses(schemas),
	}
	if rt.open {
		op.Security = []map[string][]string{}
	}
	if rt.keyless {
		op.Security = []map[string][]string{{securityName: {}}, {}}
	}
	if rt.body != nil {
		op.RequestBody = rt.body.describe(schemas)
	}
	return op
}

func (rt *route) parameters() []*huma.Param {
	var out []*huma.Param
	for _, p := range []struct{ name, about, example string }{
		{"type", "the provider type: ~ for the empty one, ~~ for a leading ~, all else percent-encoded", exampleType},
		{"id", "the id of the provider, which is its uuid, or begins with ~~ where it has none", exampleID},
		{"name", "the name of the document", "plugins.json"},
	} {
		if strings.Contains(rt.path, "{"+p.name+"}") {
			out = append(out, &huma.Param{Name: p.name, In: "path", Required: true, Description: p.about, Example: p.example, Schema: &huma.Schema{Type: huma.TypeString}})
		}
	}
	for _, name := range rt.query {
		out = append(out, &huma.Param{Name: name, In: "query", Description: queryAbout[name], Schema: &huma.Schema{Type: huma.TypeBoolean}})
	}
	for _, h := range rt.headers {
		p := header(h.name, h.about)
		p.Required = h.required
		if h.example != "" {
			p.Example = h.example
		}
		out = append(out, p)
	}
	if rt.conditional {
		out = append(out,
			header("If-Match", "write only what has this ETag, or * for what is there at all"),
			header("If-None-Match", "* writes only what is not there yet"))
	}
	if rt.once {
		out = append(out, header(headerOnce, "for 24 hours, the same request under the same key counts once, and is answered with the count of then; another one is 422"))
	}
	if rt.answer.tagged && rt.method == http.MethodGet {
		out = append(out, header("If-None-Match", "answer 304 where the ETag is still one of these"))
	}
	return out
}

// queryAbout says what the parameters mean.
var queryAbout = map[string]string{
	"definition": "answer the stored bytes, without the runtime state laid over them",
	"order":      "the body is the order, not the content",
}

func header(name, about string) *huma.Param {
	return &huma.Param{Name: name, In: "header", Description: about, Schema: &huma.Schema{Type: huma.TypeString}}
}

func (rt *route) responses(schemas huma.Registry) map[string]*huma.Response {
	status, about, sample, example := rt.answer.status, rt.answer.about, rt.answer.schema, rt.answer.example
	if status == 0 {
		status = http.StatusOK
	}
	if rt.answer.kind == writeAnswer {
		sample = written{}
		if about == "" {
			about = "what became of the write"
		}
		if example == "" {
			example = `{"status":"applied","revision":"42-9f86d081884c7d65-17","changed":true}`
		}
	}
	media := typeJSON
	if rt.answer.kind == linesAnswer {
		media = typeLines
	}
	if rt.answer.media != "" {
		media = rt.answer.media
	}
	headers := map[string]*huma.Param{}
	if rt.answer.tagged {
		headers["ETag"] = &huma.Param{Description: "identifies the content, runtime state excluded", Schema: &huma.Schema{Type: huma.TypeString}}
	}
	out := map[string]*huma.Response{
		strconv.Itoa(status): {Description: about, Content: content(schemas, media, sample, example), Headers: headers},
	}
	rt.problemResponses(schemas, out)
	if rt.answer.creates {
		headers = maps.Clone(headers)
		headers["Location"] = &huma.Param{Description: "the path of the provider", Schema: &huma.Schema{Type: huma.TypeString}}
		out[strconv.Itoa(http.StatusCreated)] = &huma.Response{Description: "the provider was added", Content: content(schemas, typeJSON, sample, example), Headers: headers}
	}
	if rt.answer.tagged {
		if rt.method == http.MethodGet {
			out["304"] = &huma.Response{Description: "the content is still what the ETag names"}
		}
	}
	return out
}

func (rule *bodyRule) describe(schemas huma.Registry) *huma.RequestBody {
	b := &huma.RequestBody{Required: !rule.optional, Description: rule.about}
	switch {
	case rule.kind == patchBody:
		b.Content = content(schemas, typeMerge, nil, rule.example)
		b.Content[typePatch] = &huma.MediaType{
			Schema:  &huma.Schema{Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeObject}},
			Example: json.RawMessage(`[{"op":"add","path":"/note","value":null}]`),
		}
		b.Content[typeJSON] = b.Content[typeMerge]
	case rule.kind == linesBody:
		b.Content = content(schemas, typeLines, rule.schema, rule.example)
	default:
		b.Content = content(schemas, typeJSON, rule.schema, rule.example)
	}
	return b
}

// content describes a body by a value of its Go type, nil being any JSON, and by
// an example where there is one.
func content(schemas huma.Registry, media string, sample any, example string) map[string]*huma.MediaType {
	schema := &huma.Schema{}
	if sample != nil {
		schema = schemas.Schema(reflect.TypeOf(sample), true, "")
		schema.Nullable = false
	}
	m := &huma.MediaType{Schema: schema}
	switch {
	case example == "":
	case media == typeLines || strings.HasPrefix(media, "text/"):
		m.Example = example
	default:
		m.Example = json.RawMessage(example)
	}
	return map[string]*huma.MediaType{media: m}
}
