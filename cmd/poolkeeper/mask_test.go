package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/poolkeeper/poolkeeper/internal/rawjson"
)

func TestMask(t *testing.T) {
	for in, want := range map[string]string{
		`{}`:                                   `{}`,
		` [ ] `:                                ` [ ] `,
		"{\n \"a\" : 1.0 }":                    "{\n \"a\" : 1.0 }",
		`{"API_KEY":"x","API_KEY":"y","b":1}`:  `{"API_KEY":"****","API_KEY":"****","b":1}`,
		`{"a":[[{"cookie":"x"}],[]], "b":[ ]}`: `{"a":[[{"cookie":"****"}],[]], "b":[ ]}`,
		`{"X_CREDS_FILE_PATH":"./configs/a.json"}`: `{"X_CREDS_FILE_PATH":"./configs/a.json"}`,
		`{"X_CREDS_BASE64":"eyJh"}`:                `{"X_CREDS_BASE64":"****"}`,
		`{"\u0061pi_key":"x"}`:                     `{"\u0061pi_key":"****"}`,
		`{"token":true,"key":null,"secret":""}`:    `{"token":true,"key":null,"secret":""}`,
		`{"maxTokens":5,"token":5}`:                `{"maxTokens":5,"token":"****"}`,
		`{"keys":{"abc":{"id":"abc","n":1}}}`:      `{"keys":{"****":{"id":"****","n":"****"}}}`,
		`{"u":"redis://:p@h/0","v":"https://h/x"}`: `{"u":"redis://****@h/0","v":"https://h/x"}`,
		`{"note":"sk-0123456789abcdef"}`:           `{"note":"****"}`,
		`{"HEALTH_ALERT_WEBHOOK_URL":"https://h"}`: `{"HEALTH_ALERT_WEBHOOK_URL":"****"}`,
		`"text"`: `"text"`,
	} {
		if got := string(mask([]byte(in))); got != want {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		}
	}
	if got := string(maskToken([]byte(`{"a":"b","expires_at":5,"refreshTokenExpiry":"x","n":{"d":[1,"x"]}}`))); got != `{"a":"****","expires_at":5,"refreshTokenExpiry":"****","n":{"d":["****","****"]}}` {
		t.Errorf("got %s", got)
	}
}

// TestMaskKeepsJSON masks every valid document of the fixtures: the result is
// valid, and masking it again changes nothing.
func TestMaskKeepsJSON(t *testing.T) {
	n := 0
	err := filepath.WalkDir(fixtures(t), func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil || rawjson.Valid(data) != nil {
			return nil
		}
		n++
		for _, f := range []func([]byte) []byte{mask, maskToken} {
			once := f(data)
			if err := rawjson.Valid(once); err != nil {
				t.Errorf("%s: masked it is not valid: %v", path, err)
			}
			if twice := f(once); string(twice) != string(once) {
				t.Errorf("%s: masking it twice is not masking it once", path)
			}
		}
		return nil
	})
	if err != nil || n < 50 {
		t.Errorf("%d documents, %v", n, err)
	}
}
