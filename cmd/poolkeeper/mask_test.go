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
		`{"headers":{"X-Api":"v","Accept":"*/*","n":5,"on":true}}`:     `{"headers":{"X-Api":"****","Accept":"****","n":"****","on":true}}`,
		`{"customHeaders":["X-Api: v"],"HEADER":"X-Api: v"}`:           `{"customHeaders":["****"],"HEADER":"****"}`,
		`{"headers":[{"name":"X","value":"v"}],"maxHeaderBytes":4096}`: `{"headers":[{"name":"****","value":"****"}],"maxHeaderBytes":4096}`,
		`{"Authorization":"v","Cookie":"v","x-api-key":"v"}`:           `{"Authorization":"****","Cookie":"****","x-api-key":"****"}`,
		`{"proxy_pass":"v","bypass":"v","loginPin":"v","shipping":1}`:  `{"proxy_pass":"****","bypass":"v","loginPin":"****","shipping":1}`,
		`{"PROXY_URL":"u:p@h:1080","a":"10:30 at a@b.c"}`:              `{"PROXY_URL":"****@h:1080","a":"10:30 at a@b.c"}`,
		`{"m":"401 for key sk-0123456789abcdef, again"}`:               `{"m":"401 for key ****, again"}`,
		`{"m":"GET https://h/x?key=v failed"}`:                         `{"m":"GET https://h/x?key=**** failed"}`,
		`{"m":"GET https://u:p@h/x failed","u":"redis://:p, w@h/0"}`:   `{"m":"GET https://****@h/x failed","u":"redis://****@h/0"}`,
		`{"region":"asia-southeast1","plan":"basic plan for all"}`:     `{"region":"asia-southeast1","plan":"basic plan for all"}`,
		`{"m":"sent Authorization: Bearer v and more"}`:                `{"m":"sent Authorization:****"}`,
		`{"m":"sent Bearer v and more, 10:30"}`:                        `{"m":"sent Bearer **** and more, 10:30"}`,
		`{"m":"401 {\"message\":\"Token expired\",\"token\":\"v\"}"}`:  `{"m":"401 {\"message\":\"Token expired\",\"token\":\"****\"}"}`,
		`{"m":"401 Unauthorized: token refresh failed: 400"}`:          `{"m":"401 Unauthorized: token refresh failed: 400"}`,
		`{"m":"https://auth.example.com:8443/oauth/token?grant=v"}`:    `{"m":"https://auth.example.com:8443/oauth/token?grant=****"}`,
		`{"see token: v":"x","https://u:p@h":1}`:                       `{"****":"****","****":1}`,
		`{"extra":"{\"apiKey\":\"v\",\"n\":1}"}`:                       `{"extra":"{\"apiKey\":\"****\",\"n\":1}"}`,
		`{"a":"AKIAIOSFODNN7EXAMPLE","b":"Basic dTpwYXNzd29yZA=="}`:    `{"a":"****","b":"Basic ****"}`,
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
