package main

import (
	"crypto/rand"
	"encoding/hex"
	"strings"

	"github.com/poolkeeper/poolkeeper"
	"github.com/spf13/cobra"
)

// defaultConfig is the gateway's own default configuration, but for its key:
// the gateway's is the same for everybody. KEY is replaced.
const defaultConfig = `{
  "REQUIRED_API_KEY": "KEY",
  "SERVER_PORT": 3000,
  "HOST": "0.0.0.0",
  "MODEL_PROVIDER": "gemini-cli-oauth",
  "SYSTEM_PROMPT_MODE": "append",
  "SYSTEM_PROMPT_REPLACEMENTS": [],
  "PROXY_URL": null,
  "PROXY_ENABLED_PROVIDERS": [],
  "PROMPT_LOG_BASE_NAME": "prompt_log",
  "PROMPT_LOG_MODE": "none",
  "REQUEST_MAX_RETRIES": 3,
  "REQUEST_BASE_DELAY": 1000,
  "CREDENTIAL_SWITCH_MAX_RETRIES": 5,
  "RATE_LIMIT_COOLDOWN_ENABLED": false,
  "RATE_LIMIT_COOLDOWN_MS": 30000,
  "RATE_LIMIT_COOLDOWN_JITTER_MS": 5000,
  "RATE_LIMIT_COOLDOWN_MAX_MS": 300000,
  "CRON_NEAR_MINUTES": 15,
  "CRON_REFRESH_TOKEN": false,
  "LOGIN_EXPIRY": 3600,
  "LOGIN_MAX_ATTEMPTS": 5,
  "LOGIN_LOCKOUT_DURATION": 1800,
  "LOGIN_MIN_INTERVAL": 5000,
  "TRUST_PROXY": false,
  "TRUSTED_PROXY_IPS": [
    "127.0.0.1",
    "::1"
  ],
  "PROVIDER_POOLS_FILE_PATH": "configs/provider_pools.json",
  "CUSTOM_MODELS_FILE_PATH": "configs/custom_models.json",
  "MAX_ERROR_COUNT": 10,
  "providerFallbackChain": {},
  "modelFallbackMapping": {},
  "LOG_ENABLED": true,
  "LOG_OUTPUT_MODE": "all",
  "LOG_LEVEL": "info",
  "LOG_DIR": "logs",
  "LOG_MAX_FILE_SIZE": 10485760,
  "LOG_MAX_FILES": 10,
  "TLS_SIDECAR_ENABLED": false,
  "TLS_SIDECAR_ENABLED_PROVIDERS": [],
  "TLS_SIDECAR_PORT": 9090,
  "TLS_SIDECAR_BINARY_PATH": null,
  "TLS_SIDECAR_PROXY_URL": null,
  "UI_ENABLED": true
}`

// randomKey is a key that nobody can guess.
func randomKey() string {
	var b [24]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func (a *app) initCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "init",
		Short: "Put a default configuration into an empty store",
		Long: `Initialises an empty store with the gateway's default configuration and no
providers. REQUIRED_API_KEY, the key of the gateway's clients, is made at random:
there is no default one. A password for the gateway's page is not set.

A store that is initialised already is left as it is (exit code 1). To fill an
empty store from a configs/ directory use import instead.`,
		Example: `  poolkeeper init --redis-url redis://localhost:6379
  poolkeeper config get REQUIRED_API_KEY --reveal
  poolkeeper password set < password.txt`,
		Args: need(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			st, err := a.kept(cmd.Context())
			if err != nil {
				return err
			}
			defer st.Close()
			snap := poolkeeper.NewSnapshot()
			snap.Values[poolkeeper.ConfigKey] = poolkeeper.Document{Data: []byte(strings.Replace(defaultConfig, `"KEY"`, `"`+randomKey()+`"`, 1))}
			if err := st.Restore(cmd.Context(), snap); err != nil {
				return err
			}
			a.note("A random REQUIRED_API_KEY was made; see it: poolkeeper config get REQUIRED_API_KEY --reveal")
			a.note("No password is set, and a gateway that is started on an export without one uses its built-in")
			a.note("default. Set one: poolkeeper password set < FILE")
			if a.json {
				return a.printJSON(map[string]any{"initialized": true})
			}
			return a.printf("Initialised with the default configuration, no providers\n")
		},
	}
}
