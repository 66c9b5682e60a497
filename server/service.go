package server

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// A statusReport is the answer of status.
type statusReport struct {
	Version       string `json:"version" doc:"of the service"`
	UptimeSeconds int64  `json:"uptimeSeconds" doc:"since the service was started"`
	poolkeeper.Info
	Pools *int `json:"pools,omitempty" doc:"how many pools there are, where they can be read"`
}

// A readiness is the answer of the health checks.
type readiness struct {
	Status string          `json:"status" enum:"ok,ready,serving" doc:"serving where that goes on without the store, as the status says"`
	Mode   poolkeeper.Mode `json:"mode,omitempty" doc:"how the instance serves, where it goes on while the store is away"`
}

// readyWithin bounds how long readyz waits for the store.
const readyWithin = 5 * time.Second

func (s *Server) serviceRoutes() []route {
	const tag = "service"
	return []route{
		{method: http.MethodGet, path: base + "/status", id: "get-status", summary: "Describe the service and its store", tag: tag,
			answer: answerRule{kind: jsonAnswer, about: "the state of the service", schema: statusReport{},
				example: `{"version":"1.0.0","uptimeSeconds":4711,"backend":"redis","ready":true,"pools":3}`}, handle: s.status},
		{method: http.MethodGet, path: pathHealthz, id: "healthz", summary: "Tell whether the process serves", tag: tag, open: true, storeless: true,
			answer: answerRule{kind: jsonAnswer, about: "it does", schema: readiness{}, example: `{"status":"ok"}`}, handle: s.healthz},
		{method: http.MethodGet, path: pathReadyz, id: "readyz", summary: "Tell whether requests are served", tag: tag, open: true, storeless: true, codes: []string{"unavailable"},
			answer: answerRule{kind: jsonAnswer, about: "they are", schema: readiness{}, example: `{"status":"serving","mode":"degraded"}`}, handle: s.readyz},
		{method: http.MethodGet, path: pathOpenAPI, id: "openapi", summary: "Describe this API", tag: tag, open: true, storeless: true,
			answer: answerRule{kind: jsonAnswer, about: "this document", schema: anyObject{}}, handle: s.describe},
		{method: http.MethodGet, path: pathDocs, id: "docs", summary: "Describe this API, for people", tag: tag, open: true, storeless: true,
			answer: answerRule{kind: jsonAnswer, media: "text/html", about: "this page", schema: ""}, handle: s.docsPage},
	}
}

func (s *Server) status(x *exchange) error {
	ctx := x.r.Context()
	info, err := s.store.Info(ctx)
	if err != nil {
		return err
	}
	report := statusReport{Version: s.version, UptimeSeconds: int64(time.Since(s.started).Seconds()), Info: info}
	if info.Serving {
		// A store that went away since is no reason to say nothing.
		if types, err := s.store.Types(ctx); err == nil {
			n := len(types)
			report.Pools = &n
		}
	}
	return x.sendValue(report)
}

func (s *Server) healthz(x *exchange) error { return x.sendValue(readiness{Status: "ok"}) }

func (s *Server) readyz(x *exchange) error {
	ctx, cancel := context.WithTimeout(x.r.Context(), readyWithin)
	defer cancel()
	info, err := s.store.Info(ctx)
	switch {
	case err != nil:
		return poolkeeper.Errorf(poolkeeper.ErrUnavailable, "the store does not answer")
	case !info.Serving:
		return poolkeeper.Errorf(poolkeeper.ErrUnavailable, "the store is not ready: %s", info.Problem)
	}
	if !info.Ready {
		return x.sendValue(readiness{"serving", info.Mode})
	}
	return x.sendValue(readiness{"ready", info.Mode})
}

func (s *Server) describe(x *exchange) error {
	x.send(http.StatusOK, jsonType, s.openAPI)
	return nil
}

// sendValue answers with a value of our own making; documents never pass here.
func (x *exchange) sendValue(v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return &poolkeeper.Error{Action: "encode", Key: "answer", Err: poolkeeper.ErrInternal, Detail: err.Error()}
	}
	x.send(http.StatusOK, jsonType, b.Bytes())
	return nil
}
