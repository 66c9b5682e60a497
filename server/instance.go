package server

import (
	"context"
	"net/http"

	"github.com/poolkeeper/poolkeeper"
)

// An Instance says which process answers, and for which store. It is what a
// command on the same machine needs to know before it goes through a service.
type Instance struct {
	PID     int    `json:"pid" doc:"of the process"`
	Address string `json:"address" doc:"where it answers, but for its socket"`
	// Store is the same text for the same store, and holds no secret.
	Store string `json:"store" doc:"which store it serves: the directory, or the Redis and the prefix"`
}

// An instanceReport is what the service says of itself, without asking the store.
type instanceReport struct {
	Version string `json:"version" doc:"of the service"`
	Instance
}

// A runBody names a run of an import.
type runBody struct {
	Run        string `json:"run" doc:"the name of the run" minLength:"1" maxLength:"64"`
	Unfinished bool   `json:"unfinished" doc:"true when the run begins, false when it has ended"`
}

// maxRun is how long the name of a run may be.
const maxRun = 64

func (b *runBody) set(name string, raw []byte) error {
	switch name {
	case "run":
		return readString(raw, &b.Run)
	case "unfinished":
		return readBool(raw, &b.Unfinished)
	}
	return errUnknownField
}

func (s *Server) instanceRoutes() []route {
	const tag = "backend"
	done := answerRule{kind: jsonAnswer, about: "it is done", schema: restored{}, example: `{"status":"applied"}`}
	return []route{
		{method: http.MethodGet, path: base + "/instance", id: "get-instance", summary: "Tell which process answers, for which store", tag: tag,
			answer: answerRule{kind: jsonAnswer, about: "what the service knows of itself", schema: instanceReport{}}, storeless: true, handle: s.describeInstance},
		{method: http.MethodPost, path: base + "/import-mark", id: "mark-import", summary: "Say of the store that an import is unfinished, or is no longer", tag: tag,
			body: &bodyRule{kind: smallBody, limit: maxTiny, about: "the run, and how it stands", schema: runBody{}, example: `{"run":"7d6f2c1e","unfinished":true}`}, answer: done, handle: s.markImport},
		{method: http.MethodPost, path: base + "/recover", id: "recover", summary: "Put into a store that has lost everything what this instance has of it", tag: tag, codes: []string{"conflict", "exists"},
			about:  "Or, with `adopt`, go on with the store that is there, whatever it holds. Either way what is queued is brought to it after that.",
			body:   &bodyRule{kind: smallBody, limit: maxTiny, optional: true, about: "whether to go on with the store that is there", schema: recoverBody{}, example: `{"adopt":false}`},
			answer: answerRule{kind: jsonAnswer, about: "what was put back, and by which instance", schema: poolkeeper.Recovered{}, example: `{"by":"this","pools":3,"providers":42,"tokens":40,"documents":4,"sessions":1,"files":2}`}, handle: s.recover},
		{method: http.MethodPost, path: base + "/flush", id: "flush", summary: "Wait until the files of a directory have all that was acknowledged", tag: tag,
			answer: done, handle: s.flush},
	}
}

// A recoverBody says how a store that was lost is gone on with.
type recoverBody struct {
	Adopt bool `json:"adopt,omitempty" doc:"go on with the store that is there, whatever it holds"`
}

func (b *recoverBody) set(name string, raw []byte) error {
	if name == "adopt" {
		return readBool(raw, &b.Adopt)
	}
	return errUnknownField
}

// recover puts a store back, or goes on with another one. A client that goes does not
// leave it half way.
func (s *Server) recover(x *exchange) error {
	var b recoverBody
	if err := x.decode(&b); err != nil {
		return err
	}
	r, ok := s.store.Backend().(poolkeeper.Recoverer)
	if !ok {
		return poolkeeper.Errorf(poolkeeper.ErrForbidden, "this store cannot be put back by an instance")
	}
	done, err := r.Recover(context.WithoutCancel(x.r.Context()), b.Adopt)
	if err != nil {
		return err
	}
	return x.sendValue(done)
}

func (s *Server) describeInstance(x *exchange) error {
	return x.sendValue(instanceReport{s.version, s.instance})
}

// markImport marks the store. One that cannot be marked is left as it is.
func (s *Server) markImport(x *exchange) error {
	var b runBody
	if err := x.decode(&b, "run", "unfinished"); err != nil {
		return err
	}
	if b.Run == "" || len(b.Run) > maxRun {
		return faulty([]fieldFault{fault("run", "is empty, or longer than 64 bytes")})
	}
	if m, ok := s.store.Backend().(poolkeeper.ImportMarker); ok {
		if err := m.MarkImport(x.r.Context(), b.Run, b.Unfinished); err != nil {
			return err
		}
	}
	return x.sendValue(restored{poolkeeper.Applied})
}

// flush waits for the files. Where there are none, there is nothing to wait for.
func (s *Server) flush(x *exchange) error {
	if f, ok := s.store.Backend().(poolkeeper.Flusher); ok {
		// Files that are being written are not left half way by a client that goes.
		if err := f.Flush(context.WithoutCancel(x.r.Context())); err != nil {
			return err
		}
	}
	return x.sendValue(restored{poolkeeper.Applied})
}
