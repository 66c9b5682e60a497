package poolkeeper

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

// refreshFields are where the dialects of tokens have their refresh token.
var refreshFields = []string{"refreshToken", "refresh_token"}

// RefreshTokenHash is the SHA-256, in hex, of the refresh token in a token
// document: of its first field of a dialect that is a string and not empty. ok is
// false where it has none.
func RefreshTokenHash(token []byte) (hash string, ok bool) {
	found := make([][]byte, len(refreshFields))
	rawjson.GetMany(token, refreshFields, found)
	for _, lit := range found {
		if text, isText := rawjson.Unquote(lit); isText && text != "" {
			sum := sha256.Sum256([]byte(text))
			return hex.EncodeToString(sum[:]), true
		}
	}
	return "", false
}
