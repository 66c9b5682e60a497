package server

import (
	"net/http"
	"time"

	"github.com/poolkeeper/poolkeeper"
)

// The bodies of what traffic does to a provider. All fields are optional but
// where a handler says otherwise.
type (
	usageBody struct {
		N int64 `json:"n,omitempty" minimum:"1" maximum:"1000000000000" doc:"how many; 1 where it is left out"`
	}
	errorBody struct {
		Message       string    `json:"message,omitempty" doc:"what went wrong; kept as lastErrorMessage"`
		MarkUnhealthy bool      `json:"markUnhealthy,omitempty" doc:"make the provider unhealthy at once"`
		RecoverAt     time.Time `json:"recoverAt,omitzero" doc:"make it unhealthy until then"`
	}
	successBody struct {
		N     int64  `json:"n,omitempty" minimum:"0" maximum:"1000000000000" doc:"how many uses to count; 0 where it is left out"`
		Model string `json:"model,omitempty" doc:"the model of a health check; the success is one where this is given"`
	}
	healthBody struct {
		Healthy bool   `json:"healthy" doc:"the outcome of the check"`
		Model   string `json:"model,omitempty" doc:"the model that it was made with"`
		Message string `json:"message,omitempty" doc:"what failed"`
	}
	refreshBody struct {
		Phase   string `json:"phase" enum:"needed,started,done,failed" doc:"the step that the refresh has come to"`
		Message string `json:"message,omitempty" doc:"what failed"`
	}
	resetBody struct {
		Usage bool `json:"usage,omitempty" doc:"set usageCount to 0 as well"`
	}
)

func (b *usageBody) set(name string, raw []byte) error {
	if name == "n" {
		return readInt(raw, &b.N, 1, poolkeeper.MaxUsage)
	}
	return errUnknownField
}

func (b *errorBody) set(name string, raw []byte) error {
	switch name {
	case "message":
		return readString(raw, &b.Message)
	case "markUnhealthy":
		return readBool(raw, &b.MarkUnhealthy)
	case "recoverAt":
		return readTime(raw, &b.RecoverAt)
	}
	return errUnknownField
}

func (b *successBody) set(name string, raw []byte) error {
	switch name {
	case "n":
		return readInt(raw, &b.N, 0, poolkeeper.MaxUsage)
	case "model":
		return readString(raw, &b.Model)
	}
	return errUnknownField
}

func (b *healthBody) set(name string, raw []byte) error {
	switch name {
	case "healthy":
		return readBool(raw, &b.Healthy)
	case "model":
		return readString(raw, &b.Model)
	case "message":
		return readString(raw, &b.Message)
	}
	return errUnknownField
}

func (b *refreshBody) set(name string, raw []byte) error {
	switch name {
	case "phase":
		return readString(raw, &b.Phase)
	case "message":
		return readString(raw, &b.Message)
	}
	return errUnknownField
}

func (b *resetBody) set(name string, raw []byte) error {
	if name == "usage" {
		return readBool(raw, &b.Usage)
	}
	return errUnknownField
}

func (s *Server) runtimeRoutes() []route {
	const tag, one = "traffic", base + "/pools/{type}/{id}"
	post := func(action, summary, changed string, body bodyRule, handle func(*exchange) error) route {
		body.kind = smallBody
		answer := answerRule{example: `{"status":"applied","revision":"42-9f86d081884c7d65-17","changed":true,` + changed + `}`}
		return route{method: http.MethodPost, path: one + "/" + action, id: "provider-" + action, summary: summary, tag: tag, codes: gone, body: &body, answer: answer, handle: handle}
	}
	once := func(rt route) route {
		rt.once = true
		return rt
	}
	return []route{
		once(post("usage", "Count uses of a provider", `"usageCount":8`, bodyRule{limit: maxTiny, optional: true, schema: usageBody{}, example: `{"n":1}`}, s.usage)),
		post("error", "Count an error of a provider", `"errorCount":1,"isHealthy":true`, bodyRule{limit: maxCommand, optional: true, schema: errorBody{}, example: `{"message":"429 from upstream","recoverAt":"2096-05-29T22:10:00Z"}`}, s.failure),
		post("success", "Make a provider healthy, as it answered", `"usageCount":8,"isHealthy":true`, bodyRule{limit: maxCommand, optional: true, schema: successBody{}, example: `{"n":1,"model":"gpt-4o-mini"}`}, s.success),
		post("health", "Record a health check", `"errorCount":0,"isHealthy":true`, bodyRule{limit: 2 * maxCommand, schema: healthBody{}, example: `{"healthy":true,"model":"gpt-4o-mini"}`}, s.health),
		post("refresh-state", "Move the state of a credential refresh", `"refreshCount":1,"isHealthy":true`, bodyRule{limit: maxCommand, schema: refreshBody{}, example: `{"phase":"started"}`}, s.refresh),
		post("reset", "Make a provider healthy with no errors", `"usageCount":0,"isHealthy":true`, bodyRule{limit: maxTiny, optional: true, schema: resetBody{}, example: `{"usage":true}`}, s.reset),
	}
}

// usage is the path that every request of a gateway takes.
func (s *Server) usage(x *exchange) error {
	ref, err := x.ref()
	if err != nil {
		return err
	}
	n := int64(1)
	if len(x.body) > 0 {
		x.use.N = 1
		if err := x.decode(&x.use); err != nil {
			return err
		}
		n = x.use.N
	}
	var res poolkeeper.Result
	if x.once == "" {
		res, err = s.store.Usage(x.r.Context(), ref, n)
	} else {
		op := poolkeeper.Op{Kind: poolkeeper.OpUsage, Key: poolkeeper.PoolKey(ref.Type), ID: ref.ID, N: n, IdempotencyKey: x.once}
		res = s.store.Apply(x.r.Context(), op)[0]
		err = poolkeeper.Annotate(res.Err, string(op.Kind), op.Subject())
	}
	if err != nil {
		return err
	}
	return x.answer(http.StatusOK, res, news{id: ref.ID, count: true, counter: poolkeeper.UsageCount})
}

func (s *Server) failure(x *exchange) error {
	var b errorBody
	return x.decide(&b, poolkeeper.ErrorCount, func(ref poolkeeper.Ref) (poolkeeper.Result, error) {
		return s.store.Error(x.r.Context(), ref, poolkeeper.Failure{Message: b.Message, Unhealthy: b.MarkUnhealthy, RecoverAt: b.RecoverAt})
	})
}

func (s *Server) success(x *exchange) error {
	var b successBody
	return x.decide(&b, poolkeeper.UsageCount, func(ref poolkeeper.Ref) (poolkeeper.Result, error) {
		return s.store.Success(x.r.Context(), ref, b.N, b.Model)
	})
}

func (s *Server) health(x *exchange) error {
	var b healthBody
	return x.decide(&b, poolkeeper.ErrorCount, func(ref poolkeeper.Ref) (poolkeeper.Result, error) {
		return s.store.Health(x.r.Context(), ref, poolkeeper.Check{Healthy: b.Healthy, Model: b.Model, Message: b.Message})
	}, "healthy")
}

func (s *Server) refresh(x *exchange) error {
	var b refreshBody
	if err := x.decode(&b, "phase"); err != nil {
		return err
	}
	phase, counter := poolkeeper.RefreshPhase(b.Phase), poolkeeper.ErrorCount
	switch phase {
	case poolkeeper.RefreshNeeded, poolkeeper.RefreshStarted:
		counter = poolkeeper.RefreshCount
	case poolkeeper.RefreshDone, poolkeeper.RefreshFailed:
	default:
		return faulty([]fieldFault{fault("phase", "is none of needed, started, done, failed")})
	}
	return x.decide(nil, counter, func(ref poolkeeper.Ref) (poolkeeper.Result, error) {
		return s.store.Refresh(x.r.Context(), ref, phase, b.Message)
	})
}

func (s *Server) reset(x *exchange) error {
	var b resetBody
	return x.decide(&b, poolkeeper.UsageCount, func(ref poolkeeper.Ref) (poolkeeper.Result, error) {
		return s.store.Reset(x.r.Context(), ref, b.Usage)
	})
}

// decide reads the body of a decision about the health of a provider, unless
// that was done, makes it, and answers with the counter that it changed.
func (x *exchange) decide(c command, counter poolkeeper.Field, do func(poolkeeper.Ref) (poolkeeper.Result, error), required ...string) error {
	ref, err := x.ref()
	if err != nil {
		return err
	}
	if c != nil {
		if err := x.decode(c, required...); err != nil {
			return err
		}
	}
	res, err := do(ref)
	if err != nil {
		return err
	}
	return x.answer(http.StatusOK, res, news{id: ref.ID, count: true, counter: counter, health: true})
}
