package server

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/poolkeeper/poolkeeper"
)

// gone is the code of a route that does not find what it is about.
var gone = []string{"not-found"}

// refusals lists the codes that a route may answer with, by their status. What is
// documented is what is answered: the tests hold each answer to it. A client that
// went away reads none, so cancelled is not listed.
func (rt *route) refusals() map[int][]string {
	out := map[int][]string{}
	also := func(status int, codes ...string) {
		for _, code := range codes {
			at := status
			if at == 0 {
				class, _ := poolkeeper.ClassOfCode(code)
				at = class.Status
			}
			if !slices.Contains(out[at], code) {
				out[at] = append(out[at], code)
			}
		}
	}
	also(0, "invalid", "forbidden", "internal")
	if !rt.open {
		also(0, "unauthorized")
	}
	if !rt.storeless {
		also(0, "unavailable", "uninitialized", "foreign", "lost", "closed", "timeout", "damaged")
		if rt.method != http.MethodGet {
			also(0, "indeterminate")
		}
	}
	if rt.body != nil || strings.Contains(rt.path, "{type}") {
		also(0, "too-large")
	}
	if rt.body != nil {
		also(http.StatusUnsupportedMediaType, "invalid")
	}
	if rt.answer.kind == writeAnswer {
		also(0, "conflict")
	}
	also(0, rt.codes...)
	if rt.once {
		also(0, "reused")
	}
	if rt.limited {
		also(http.StatusTooManyRequests, "forbidden")
	}
	return out
}

// problemResponses describes the refusals of a route.
func (rt *route) problemResponses(schemas huma.Registry, to map[string]*huma.Response) {
	for status, codes := range rt.refusals() {
		headers := map[string]*huma.Param{}
		switch status {
		case http.StatusUnauthorized:
			headers["WWW-Authenticate"] = &huma.Param{Description: "how the key is to be shown", Schema: &huma.Schema{Type: huma.TypeString}}
		case http.StatusTooManyRequests:
			headers["Retry-After"] = &huma.Param{Description: "how many seconds to wait", Required: true, Schema: &huma.Schema{Type: huma.TypeInteger}}
		}
		to[strconv.Itoa(status)] = &huma.Response{
			Description: "refused: " + strings.Join(codes, ", "),
			Headers:     headers,
			Content:     content(schemas, "application/problem+json", problem{}, ""),
		}
	}
}
