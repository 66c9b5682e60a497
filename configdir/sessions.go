package configdir

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// A session is one that has not expired.
type session struct {
	bearer    string
	raw       []byte // its document
	expiresAt int64  // in milliseconds since 1970; 0: never
}

const (
	maxBearer = 1024
	// maxExpiry is the year 9999, the last time that an op can have.
	maxExpiry = 253402300799999
)

// A tokenStore is what token-store.json says.
type tokenStore struct {
	tokens  []byte // the object with the sessions; nil where there is none
	entries int
	live    map[string]session // by bearer
	odd     int                // entries that could not be used, expired ones not counted
}

// readTokenStore reads token-store.json. In a damaged document there is no
// session.
func readTokenStore(data []byte, now int64) tokenStore {
	s := tokenStore{live: map[string]session{}}
	tokens, _ := rawjson.Get(data, "tokens")
	if rawjson.KindOf(tokens) != rawjson.KindObject {
		return s
	}
	s.tokens = tokens
	// It is part of a document that Get has parsed.
	_ = rawjson.Object(tokens, func(key, value []byte) error {
		s.entries++
		bearer, ok := rawjson.Unquote(key)
		delete(s.live, bearer) // of two with one key, the last counts
		if string(value) == "null" {
			return nil
		}
		expiresAt, known := expiryOf(value)
		if !ok || bearer == "" || len(bearer) > maxBearer || !known || rawjson.KindOf(value) != rawjson.KindObject {
			s.odd++
			return nil
		}
		if expiresAt == 0 || now < expiresAt {
			s.live[bearer] = session{bearer, value, expiresAt}
		}
		return nil
	})
	return s
}

// Sessions returns the live sessions of a token-store.json, by their keys.
func Sessions(data []byte, now time.Time) map[poolkeeper.Key]poolkeeper.Document {
	found := map[poolkeeper.Key]poolkeeper.Document{}
	for bearer, one := range readTokenStore(data, now.UnixMilli()).live {
		found[poolkeeper.SessionKey(poolkeeper.SessionName(bearer))] = poolkeeper.Document{
			Data: poolkeeper.EncodeSession(bearer, one.raw), ExpiresAt: one.expiresAt,
		}
	}
	return found
}

// expiryOf reads when a session ends. One whose expiry cannot be read is not
// known to be alive.
func expiryOf(doc []byte) (ms int64, known bool) {
	lit, ok := rawjson.Get(doc, "expiryTime")
	if !ok || string(lit) == "null" {
		return 0, true
	}
	switch rawjson.KindOf(lit) {
	case rawjson.KindNumber:
	case rawjson.KindString:
		s, _ := rawjson.Unquote(lit)
		if number := []byte(strings.TrimSpace(s)); rawjson.KindOf(number) != rawjson.KindNumber || rawjson.Valid(number) != nil {
			return 0, false
		}
	default:
		return 0, false
	}
	n, _ := rawjson.ParseCount(lit)
	return min(max(n, 1), maxExpiry), true // 0 is not "never": it has passed
}

// liveSessions returns the sessions of a snapshot that have not expired. What
// cannot be read is not there.
func liveSessions(snap *poolkeeper.Snapshot, now int64) map[string]session {
	live := map[string]session{}
	for k, d := range snap.Values {
		if k.Kind != poolkeeper.KindSession || d.ExpiresAt != 0 && now >= d.ExpiresAt {
			continue
		}
		if one, ok := sessionOf(d); ok {
			live[one.bearer] = one
		}
	}
	return live
}

// sessionOf returns a stored session as it is written into token-store.json.
func sessionOf(d poolkeeper.Document) (one session, ok bool) {
	bearer, doc, err := poolkeeper.DecodeSession(d.Data)
	if err != nil {
		return one, false
	}
	// The gateway goes by the document alone: without this, a session whose
	// expiry only the store knows would never end there.
	if ms, known := expiryOf(doc); d.ExpiresAt != 0 && (!known || ms != d.ExpiresAt) {
		if doc, err = rawjson.Set(doc, "expiryTime", strconv.AppendInt(nil, d.ExpiresAt, 10)); err != nil {
			return one, false
		}
	}
	return session{bearer, doc, d.ExpiresAt}, true
}

// SameSession reports whether two stored sessions are written into
// token-store.json as the same one.
func SameSession(a, b poolkeeper.Document) bool {
	x, okX := sessionOf(a)
	y, okY := sessionOf(b)
	return okX && okY && x.bearer == y.bearer && bytes.Equal(x.raw, y.raw)
}

// SameTokenStore reports whether both snapshots have a token-store.json, and are
// written with the same one: by its bytes, after the sessions that live at that
// time have been put in.
func SameTokenStore(a, b *poolkeeper.Snapshot, at time.Time) bool {
	now := at.UnixMilli()
	docA, hasA := a.Values[poolkeeper.DocumentKey(TokenStore)]
	docB, hasB := b.Values[poolkeeper.DocumentKey(TokenStore)]
	if !hasA || !hasB {
		return false
	}
	outA, _, _ := composeTokenStore(docA.Data, true, liveSessions(a, now), now)
	outB, _, _ := composeTokenStore(docB.Data, true, liveSessions(b, now), now)
	return bytes.Equal(outA, outB)
}

// composeTokenStore puts the live sessions into token-store.json. Where they
// are those that it has, it stays as it is; else only the entries of sessions
// that are gone, changed or new are touched. Without a document and without
// sessions there is nothing. replaced says that a document which is no JSON
// object had to give way.
func composeTokenStore(doc []byte, exists bool, live map[string]session, now int64) (out []byte, there, replaced bool) {
	s := readTokenStore(doc, now)
	if sameSessions(s.live, live) {
		return doc, exists, false
	}
	var edits []rawjson.Edit
	for _, bearer := range slices.Sorted(maps.Keys(s.live)) {
		if _, ok := live[bearer]; !ok {
			edits = append(edits, rawjson.Edit{Key: bearer})
		}
	}
	for _, bearer := range slices.Sorted(maps.Keys(live)) {
		if old, ok := s.live[bearer]; !ok || !bytes.Equal(old.raw, live[bearer].raw) {
			edits = append(edits, rawjson.Edit{Key: bearer, Value: live[bearer].raw})
		}
	}
	tokens := s.tokens
	if tokens == nil {
		tokens = []byte("{}")
	}
	if len(s.live) == 0 && bytes.Equal(rawjson.Compact(nil, tokens), []byte("{}")) {
		tokens = []byte("{\n  }") // so that entries do not all stand on one line
	}
	next, err := rawjson.SetMany(tokens, edits)
	if err != nil { // a stored session that is no JSON: keep the document
		return doc, exists, false
	}
	if exists {
		if out, err := rawjson.Set(doc, "tokens", next); err == nil {
			return out, true, false
		}
	}
	out = append([]byte("{\n  \"tokens\": "), next...)
	return append(out, "\n}"...), true, exists
}

// sameSessions compares by what a document says of a session: its raw bytes,
// which hold the expiry.
func sameSessions(a, b map[string]session) bool {
	return maps.EqualFunc(a, b, func(x, y session) bool { return bytes.Equal(x.raw, y.raw) })
}
