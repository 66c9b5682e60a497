package poolkeeper

import "github.com/poolkeeper/poolkeeper/internal/rawjson"

// expiryFields are where the dialects of tokens have their expiry.
var expiryFields = []string{"expiry_date", "expiry", "expires_at", "expiresAt", "expired"}

// TokenExpiry reads when a token expires, in milliseconds since 1970: by the
// first of the fields of the dialects that it has, a number of milliseconds,
// also as text, or an ISO time.
func TokenExpiry(token []byte) (ms int64, known bool) {
	found := make([][]byte, len(expiryFields))
	rawjson.GetMany(token, expiryFields, found)
	for _, lit := range found {
		if lit == nil || string(lit) == "null" {
			continue
		}
		if ms, ok := rawjson.ParseTimeMillis(lit); ok {
			return ms, ms > 0
		}
		ms, _ = rawjson.ParseCount(lit)
		return ms, ms > 0
	}
	return 0, false
}
