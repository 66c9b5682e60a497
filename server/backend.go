package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// Limits of what a [poolkeeper.Backend] needs of the service. The largest op is
// a file or a pool whose bytes are in base64.
const (
	maxOps       = 1000
	maxOpsBody   = poolkeeper.MaxFile/3*4 + 8<<20
	maxKeysBody  = poolkeeper.MaxFile
	maxRestore   = 1 << 30
	transferTime = 15 * time.Minute // for what is not held in memory, either way
)

func (s *Server) backendRoutes() []route {
	const tag = "backend"
	return []route{
		{method: http.MethodPost, path: base + "/ops", id: "apply", summary: "Apply ops, and answer each", tag: tag, storeless: true,
			about: "Each op is applied whole or not at all, and by itself: one that is refused is an error in its own result, and the answer is 200 all the same.",
			body: &bodyRule{limit: maxOpsBody, about: "up to 1000 ops, as docs/formats.md has them", schema: []opBody{},
				example: `[{"kind":"usage","key":{"kind":"pool","type":"openai-custom"},"id":"3f1c7a52-1d1b-4a35-9f0e-6d2a6f4a8c10","n":1}]`},
			answer: answerRule{kind: jsonAnswer, about: "a result for each op, in its place", schema: []opResult{},
				example: `[{"status":"applied","revision":"42-9f86d081884c7d65-17","id":"3f1c7a52-1d1b-4a35-9f0e-6d2a6f4a8c10","count":8,"changed":true}]`}, handle: s.apply},
		{method: http.MethodPost, path: base + "/load", id: "load", summary: "Read some keys, or everything", tag: tag,
			body: &bodyRule{limit: maxKeysBody, about: "the keys; everything where there is none", schema: []keyBody{},
				example: `[{"kind":"config"},{"kind":"provider","type":"openai-custom","name":"3f1c7a52-1d1b-4a35-9f0e-6d2a6f4a8c10"}]`},
			answer: answerRule{kind: linesAnswer, about: "a snapshot, as docs/formats.md has it"}, handle: s.load},
		{method: http.MethodPost, path: base + "/restore", id: "restore", summary: "Put a snapshot into an uninitialised store", tag: tag, codes: []string{"exists", "conflict"},
			body:   &bodyRule{kind: linesBody, limit: maxRestore, about: "a snapshot, as docs/formats.md has it", example: "{\"snapshot\":1}\n{\"end\":0}\n"},
			answer: answerRule{kind: jsonAnswer, about: "it is all there", schema: restored{}, example: `{"status":"applied"}`}, handle: s.restore},
	}
}

// What the OpenAPI document says of the forms of the root package; a test holds
// them to it.
type (
	keyBody struct {
		Kind poolkeeper.KeyKind `json:"kind" doc:"pool, pools, provider, types, token, token-refs, config, document, password, session, file or meta"`
		Type string             `json:"type,omitempty" doc:"the provider type"`
		Name string             `json:"name,omitempty" doc:"the id, name or path; without one all of a kind, in a load"`
	}
	opBody struct {
		Kind      poolkeeper.OpKind       `json:"kind" doc:"what the op does"`
		Key       keyBody                 `json:"key" doc:"what it is ordered by"`
		ID        string                  `json:"id,omitempty" doc:"of a provider"`
		At        int64                   `json:"at,omitempty" doc:"when it was decided, in milliseconds since 1970; now where it is left out"`
		N         int64                   `json:"n,omitempty"`
		Threshold int64                   `json:"threshold,omitempty"`
		RecoverAt int64                   `json:"recoverAt,omitempty"`
		ExpiresAt int64                   `json:"expiresAt,omitempty"`
		Message   *string                 `json:"message,omitempty"`
		Model     *string                 `json:"model,omitempty"`
		Healthy   bool                    `json:"healthy,omitempty"`
		Immediate bool                    `json:"immediate,omitempty"`
		Usage     bool                    `json:"usage,omitempty"`
		Phase     poolkeeper.RefreshPhase `json:"phase,omitempty"`
		Patch     poolkeeper.PatchKind    `json:"patch,omitempty"`
		If        poolkeeper.If           `json:"if,omitempty" doc:"absent, present, an ETag, or the structure revision of a pool"`
		NewID     string                  `json:"newId,omitempty"`
		Data      []byte                  `json:"data,omitempty" doc:"a definition, value or patch, in base64"`
		State     anyObject               `json:"state,omitempty"`
		Once      string                  `json:"idempotencyKey,omitempty" maxLength:"255" doc:"of usage: as the header of that name"`
		From      string                  `json:"from,omitempty" doc:"of the patch of a token: the hash of the refresh token that it was got for"`
		Providers []anyObject             `json:"providers,omitempty"`
		Order     []string                `json:"order,omitempty"`
	}
	opResult struct {
		Status   poolkeeper.Status `json:"status,omitempty" enum:"applied,queued,buffered" doc:"what the acknowledgement means"`
		Revision string            `json:"revision,omitempty" doc:"of the key, after the op"`
		ID       string            `json:"id,omitempty" doc:"of the provider that the op reached"`
		Count    int64             `json:"count,omitempty" doc:"the counter that the op changed, after it"`
		Healthy  bool              `json:"healthy,omitempty"`
		Changed  bool              `json:"changed,omitempty"`
		Error    *opError          `json:"error,omitempty" doc:"why the op was refused; nothing else is there then"`
	}
	opError struct {
		Code   string `json:"code" doc:"as that of a problem"`
		Action string `json:"action,omitempty" doc:"what was done"`
		Key    string `json:"key,omitempty" doc:"to what"`
		Detail string `json:"detail,omitempty" doc:"what was wrong"`
		Hint   string `json:"hint,omitempty" doc:"the way out"`
	}
	restored struct {
		Status poolkeeper.Status `json:"status" enum:"applied"`
	}
)

// apply applies the ops of a body. What cannot be read as ops is refused as a
// whole; an op that is not valid, by its own result.
func (s *Server) apply(x *exchange) error {
	var ops []poolkeeper.Op
	err := rawjson.Array(x.body, func(i int, raw []byte) error {
		if i == maxOps {
			return poolkeeper.Errorf(poolkeeper.ErrTooLarge, "there are more than %d ops", maxOps).WithHint("send them in several requests")
		}
		op, err := poolkeeper.DecodeOp(raw)
		if err != nil && op.Kind == "" {
			return elementFault(i, err)
		}
		ops = append(ops, op)
		return nil
	})
	if err != nil {
		return notArray(err)
	}
	x.body = nil // the ops have bytes of their own
	results := s.store.Apply(x.r.Context(), ops...)
	for i := range results {
		if err := results[i].Err; err != nil && poolkeeper.ClassOf(err).Err == poolkeeper.ErrInternal {
			s.log.Error("op failed", "kind", string(ops[i].Kind), "error", err)
		}
	}
	b := []byte{'['}
	for i := range results {
		if i > 0 {
			b = append(b, ',', '\n')
		}
		one, err := json.Marshal(results[i])
		if err != nil {
			return &poolkeeper.Error{Action: "encode", Key: "result", Err: poolkeeper.ErrInternal, Detail: err.Error()}
		}
		b = append(b, one...)
	}
	x.send(http.StatusOK, jsonType, append(b, ']', '\n'))
	return nil
}

// elementFault refuses a body for one element of its array.
func elementFault(i int, err error) error {
	return &refusal{
		error:  poolkeeper.Annotate(err, "", fmt.Sprintf("element %d", i)),
		fields: []fieldFault{{Pointer: fmt.Sprintf("#/%d", i), Detail: err.Error()}},
	}
}

// load answers with a snapshot, which is written as it is encoded.
func (s *Server) load(x *exchange) error {
	var keys []poolkeeper.Key
	err := rawjson.Array(x.body, func(i int, raw []byte) error {
		key, err := poolkeeper.DecodeKey(raw)
		if err != nil {
			return elementFault(i, err)
		}
		keys = append(keys, key)
		return nil
	})
	if err != nil {
		return notArray(err)
	}
	snap, err := s.store.Backend().Load(x.r.Context(), keys...)
	if err != nil {
		return err
	}
	// A connection without deadlines does not mind.
	_ = http.NewResponseController(x.inner).SetWriteDeadline(time.Now().Add(transferTime))
	x.Header()["Content-Type"] = linesType
	x.WriteHeader(http.StatusOK)
	if err := poolkeeper.EncodeSnapshot(x.inner, snap); err != nil {
		s.log.Debug("a snapshot was not sent whole", "error", err)
		panic(http.ErrAbortHandler) // half a snapshot must not look like one
	}
	return nil
}

// restore reads a snapshot as it comes, and restores it once it is whole.
func (s *Server) restore(x *exchange) error {
	_ = http.NewResponseController(x.inner).SetReadDeadline(time.Now().Add(transferTime))
	snap, err := poolkeeper.DecodeSnapshot(x.lines)
	if err != nil {
		return err
	}
	_ = http.NewResponseController(x.inner).SetWriteDeadline(time.Now().Add(transferTime))
	if err := s.store.Restore(x.r.Context(), snap); err != nil {
		return err
	}
	return x.sendValue(restored{poolkeeper.Applied})
}
