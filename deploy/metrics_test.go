package deploy_test

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper"
	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// families scrapes a running service on Redis, after it has done something, and
// returns the metrics that it has, by their kind.
func families(t *testing.T) map[string]string {
	t.Helper()
	srv := redistest.Start(t, redistest.WithConfig("maxmemory", "100mb"))
	env := environ("REDIS_URL="+srv.URL(), "POOLKEEPER_STATE_DIR="+t.TempDir(), "POOLKEEPER_ADDR=127.0.0.1:0")
	run(t, program(t), env, "import", "--config-dir", fixture(t))
	s := serve(t, program(t), env, nil)
	if code, body := s.get(t, "POST", "/api/v1/pools/claude-kiro-oauth/ab226ca1-2651-430f-a1f0-85aa0228e36e/usage"); code != 200 {
		t.Fatalf("%d %s", code, body)
	}
	s.get(t, "GET", "/api/v1/pools")
	code, body := s.get(t, "GET", "/metrics")
	if code != 200 {
		t.Fatalf("%d %s", code, body)
	}
	if strings.Contains(body, "ab226ca1") || strings.Contains(body, apiKey) {
		t.Error("a metric holds an id or the key")
	}
	found := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\S+) (\S+)$`).FindAllStringSubmatch(body, -1) {
		found[m[1]] = m[2]
	}
	return found
}

var (
	metricName = regexp.MustCompile(`\b(?:poolkeeper|process|go|up)(?:_[a-z_]+)?\b`)
	selector   = regexp.MustCompile(`(kind|outcome|status)(=~|!~|=|!=)"([^"]*)"`)
	quoted     = regexp.MustCompile(`"[^"]*"`)
)

// checkExpr holds an expression to the metrics and the values of labels that
// there are.
func checkExpr(t *testing.T, where, expr string, found map[string]string) {
	t.Helper()
	names := metricName.FindAllString(quoted.ReplaceAllString(expr, `""`), -1)
	if len(names) == 0 {
		t.Errorf("%s names no metric: %s", where, expr)
	}
	if strings.Count(expr, "(") != strings.Count(expr, ")") || strings.Count(expr, "{") != strings.Count(expr, "}") {
		t.Errorf("%s: brackets of %s", where, expr)
	}
	for _, name := range names {
		kind, ok := found[name]
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if base, cut := strings.CutSuffix(name, suffix); cut && found[base] == "histogram" {
				kind, ok = "part", true
			}
		}
		if !ok && name != "up" { // which Prometheus itself makes
			t.Errorf("%s: there is no metric %s", where, name)
		}
		if kind == "histogram" {
			t.Errorf("%s: %s is a histogram, and stands without a suffix", where, name)
		}
	}
	values := map[string][]string{"kind": {"other"}, "outcome": {string(poolkeeper.Applied), string(poolkeeper.Queued), string(poolkeeper.Buffered)}}
	for _, k := range poolkeeper.OpKinds() {
		values["kind"] = append(values["kind"], string(k))
	}
	for _, c := range poolkeeper.ErrorClasses() {
		values["outcome"] = append(values["outcome"], c.Code)
	}
	for _, m := range selector.FindAllStringSubmatch(expr, -1) {
		for v := range strings.SplitSeq(m[3], "|") {
			if m[1] != "status" && !slices.Contains(values[m[1]], v) {
				t.Errorf("%s: there is no %s %q", where, m[1], v)
			}
		}
	}
}

// TestMetricsExist: each metric that the dashboard and the alerts name is one
// of a running service, and the documentation lists all that are ours.
func TestMetricsExist(t *testing.T) {
	found := families(t)

	var dashboard struct {
		Title  string
		Panels []struct {
			ID      int
			Title   string
			Targets []struct{ Expr string }
			GridPos struct{ X, Y, W, H int }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "grafana/poolkeeper.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			checkExpr(t, "panel "+p.Title, target.Expr, found)
			for _, name := range metricName.FindAllString(target.Expr, -1) {
				seen[name] = true
			}
		}
		if len(p.Targets) == 0 || seen[p.Title] {
			t.Errorf("panel %q has no query, or its title twice", p.Title)
		}
		seen[p.Title] = true
	}

	var rules struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	parseYAML(t, "prometheus/alerts.yml", &rules)
	operations := read(t, "../docs/operations.md")
	n := 0
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			n++
			checkExpr(t, "alert "+r.Alert, r.Expr, found)
			if r.Labels["severity"] == "" || r.Annotations["summary"] == "" {
				t.Errorf("alert %s has no severity or no summary", r.Alert)
			}
			if !strings.Contains(operations, "`"+r.Alert+"`") {
				t.Errorf("docs/operations.md does not say what to do about %s", r.Alert)
			}
		}
	}
	if len(dashboard.Panels) < 10 || n < 8 {
		t.Errorf("%d panels, %d alerts", len(dashboard.Panels), n)
	}

	for _, name := range slices.Sorted(maps.Keys(found)) {
		if strings.HasPrefix(name, "poolkeeper_") && !strings.Contains(operations, "`"+name+"`") {
			t.Errorf("docs/operations.md does not list %s", name)
		}
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `(poolkeeper_[a-z_]+)`").FindAllStringSubmatch(operations, -1) {
		if found[m[1]] == "" {
			t.Errorf("docs/operations.md lists %s, and there is no such metric", m[1])
		}
	}
}

// TestPrometheusConfig: the example asks where the metrics are, and brings a key.
func TestPrometheusConfig(t *testing.T) {
	var conf struct {
		Scrape []struct {
			Job           string                       `yaml:"job_name"`
			Interval      string                       `yaml:"scrape_interval"`
			Path          string                       `yaml:"metrics_path"`
			Authorization map[string]string            `yaml:"authorization"`
			Static        []struct{ Targets []string } `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
		Rules []string `yaml:"rule_files"`
	}
	parseYAML(t, "prometheus/prometheus.yml", &conf)
	if len(conf.Scrape) != 1 || conf.Scrape[0].Path != "/metrics" || conf.Scrape[0].Job != "poolkeeper" ||
		conf.Scrape[0].Authorization["type"] != "Bearer" || conf.Scrape[0].Authorization["credentials_file"] == "" {
		t.Errorf("%+v", conf.Scrape)
	}
	for _, rules := range conf.Rules {
		read(t, "prometheus/"+rules)
	}
}
