package redisstore

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// maxBearer is the most bytes that the bearer of a session may have.
const maxBearer = 1024

// lastTime is the last one that an op can have, in the year 9999. What ends later
// ends then.
const lastTime = 253402300799999

// readSessions reads the sessions, which the layout names by their bearers.
func (f *foreignReader) readSessions() error {
	unusable := 0
	err := f.strings(kindSession, poolkeeper.MaxDocument, func(k *foreignKey, data []byte) error {
		bearer, doc := k.arg, data
		if b, d, err := poolkeeper.DecodeSession(data); err == nil && poolkeeper.SessionName(b) == k.arg {
			bearer, doc = b, d // of a conversion in place that was cut off
		}
		if bearer == "" || len(bearer) > maxBearer || !utf8.ValidString(bearer) || poolkeeper.ValidateObject(doc, "session") != nil {
			f.left[k.name] = true
			unusable++
			return nil
		}
		d := poolkeeper.Document{Data: poolkeeper.EncodeSession(bearer, doc)}
		switch end, known := sessionEnd(doc); {
		case k.ttl >= 0:
			d.ExpiresAt = k.read + min(k.ttl, lastTime-k.read)
		case known && end <= k.read:
			return nil // it has ended
		case known:
			d.ExpiresAt = end
		}
		f.snap.Values[poolkeeper.SessionKey(poolkeeper.SessionName(bearer))] = d
		return nil
	})
	if unusable > 0 {
		f.note(nameSessions+"…", "", noteSession, "%d sessions cannot be used: not taken", unusable)
	}
	return err
}

// sessionEnd is when a session without a time to live ends by its document.
func sessionEnd(doc []byte) (ms int64, known bool) {
	v, ok := rawjson.Get(doc, "expiryTime")
	if !ok || rawjson.KindOf(v) != rawjson.KindNumber {
		return 0, false
	}
	ms, _ = rawjson.ParseCount(v)
	return min(max(ms, 1), lastTime), true
}

// readDocuments reads the configuration, the password and the documents.
func (f *foreignReader) readDocuments() error {
	if err := f.strings(kindConfig, poolkeeper.MaxDocument, func(k *foreignKey, data []byte) error {
		if err := poolkeeper.ValidateObject(data, "the configuration"); err != nil {
			return mendable(err, k.rest, "correct it (SET)")
		}
		f.snap.Values[poolkeeper.ConfigKey] = poolkeeper.Document{Data: data}
		f.checkConfig(data)
		return nil
	}); err != nil {
		return err
	}
	if err := f.strings(kindPassword, poolkeeper.MaxPassword, func(_ *foreignKey, data []byte) error {
		f.snap.Values[poolkeeper.PasswordKey] = poolkeeper.Document{Data: data}
		return nil
	}); err != nil {
		return err
	}
	return f.strings(kindDocument, poolkeeper.MaxDocument, func(k *foreignKey, data []byte) error {
		if rawjson.Valid(data) != nil {
			f.note(k.rest, "", noteDocument, "not valid JSON: kept as it is")
		}
		for doc, name := range documentNames {
			if name == k.rest {
				f.snap.Values[poolkeeper.DocumentKey(doc)] = poolkeeper.Document{Data: data}
			}
		}
		return nil
	})
}

// checkConfig notes a configuration by which the gateway would read other pools
// than those of an export.
func (f *foreignReader) checkConfig(config []byte) {
	const field, want = "PROVIDER_POOLS_FILE_PATH", "configs/provider_pools.json"
	v, _ := rawjson.Get(config, field)
	if text, ok := rawjson.Unquote(v); ok && text != "" {
		if at, _ := poolkeeper.NormalizeTokenPath(text); at != want {
			f.note(nameConfig, field, noteConfig, "names another file than %s, where an export has the pools: kept as it is", want)
		}
	}
}

// counterFields are the runtime fields that the layout has counters for.
var counterFields = []poolkeeper.Field{poolkeeper.UsageCount, poolkeeper.ErrorCount, poolkeeper.RefreshCount}

// readCounters reads counters beside the definitions: one counts where it is
// ahead of what the definition has.
func (f *foreignReader) readCounters() error {
	return f.strings(kindCounter, poolkeeper.MaxMessage, func(k *foreignKey, data []byte) error {
		title := f.title(kindCounter, k)
		at := strings.LastIndexByte(k.arg, ':')
		if at < 0 {
			f.note(title, "", noteCounter, "no provider can have a counter of that name: not taken")
			return nil
		}
		ref, _ := f.tokenRef("", k.arg[:at])
		p := f.snap.Provider(ref)
		n, err := strconv.ParseInt(string(data), 10, 64)
		for _, field := range counterFields {
			if p == nil || err != nil || n < 0 || field.String() != k.arg[at+1:] {
				continue
			}
			if n > p.Count(field) {
				p.State.Set(field, strconv.FormatInt(n, 10))
				f.note(title, "", noteCounter, "it counts: it is ahead of the definition")
			} else {
				f.note(title, "", noteCounter, "the definition is ahead of it, or says the same: not taken")
			}
			return nil
		}
		f.note(title, "", noteCounter, "no whole number from 0 up that a provider would have: not taken")
		return nil
	})
}
