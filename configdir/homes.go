package configdir

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// A home is where the gateway keeps the tokens of a type: the folder, and the
// field of a definition that names the file.
type home struct{ typ, folder, field string }

var homes = []home{
	{"claude-kiro-oauth", "kiro", "KIRO_OAUTH_CREDS_FILE_PATH"},
	{"gemini-cli-oauth", "gemini", "GEMINI_OAUTH_CREDS_FILE_PATH"},
	{"gemini-antigravity", "antigravity", "ANTIGRAVITY_OAUTH_CREDS_FILE_PATH"},
	{"openai-qwen-oauth", "qwen", "QWEN_OAUTH_CREDS_FILE_PATH"},
	{"openai-iflow", "iflow", "IFLOW_TOKEN_FILE_PATH"},
	{"openai-codex-oauth", "codex", "CODEX_OAUTH_CREDS_FILE_PATH"},
}

// homeOf finds the home of a type, or of the type that it is a group of. The
// field is empty for a type that the gateway keeps no tokens for.
func homeOf(typ string) home {
	for _, h := range homes {
		if typ == h.typ || strings.HasPrefix(typ, h.typ+"-") {
			return h
		}
	}
	folder := fileName(typ)
	if at := Name + "/" + folder; at == tempDir || at == poolsFile || isReserved(at) {
		folder += "-" + shortHash(typ)
	}
	return home{typ: typ, folder: folder}
}

// fileName makes a name that can be that of a file anywhere. What it had to
// change is told apart by a hash.
func fileName(s string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.", r) {
			return r
		}
		return '_'
	}, strings.TrimLeft(s, "~"))
	name = strings.Trim(name, ".")
	if len(name) > 80 {
		name = name[:80]
	}
	if name != s && name != strings.TrimLeft(s, "~") || name == "" {
		name += "-" + shortHash(s)
	}
	return name
}

func shortHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:4])
}
