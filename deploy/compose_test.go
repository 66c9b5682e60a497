package deploy_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// composeFile is what the compose file may have; what is not here is an error.
type composeFile struct {
	Services map[string]composeService
	Volumes  map[string]any
	Secrets  map[string]map[string]string
}

type composeService struct {
	Image       string
	Build       struct{ Context, Dockerfile string }
	Hostname    string
	Command     string
	Ports       []string
	Volumes     []string
	Healthcheck struct {
		Test              []string
		Interval, Timeout string
		Retries           int
	}
	DependsOn map[string]struct {
		Condition string
		Required  *bool
	} `yaml:"depends_on"`
	Environment map[string]string
	Secrets     []string
	ReadOnly    bool     `yaml:"read_only"`
	CapDrop     []string `yaml:"cap_drop"`
	SecurityOpt []string `yaml:"security_opt"`
	Restart     string
}

func compose(t *testing.T) composeFile {
	t.Helper()
	var file composeFile
	parseYAML(t, "docker-compose.yml", &file)
	return file
}

// TestCompose: Redis with an append-only file, a health check, a volume and a
// port that only this machine reaches; the service waits for it, and does
// without it.
func TestCompose(t *testing.T) {
	file := compose(t)
	if len(file.Services) != 2 {
		t.Fatalf("%d services", len(file.Services))
	}
	redis, service := file.Services["redis"], file.Services["poolkeeper"]
	if redis.Image != "redis:7-alpine" || !strings.Contains(redis.Command, "--appendonly yes") {
		t.Errorf("redis: %+v", redis)
	}
	if !slices.Equal(redis.Healthcheck.Test, []string{"CMD", "redis-cli", "ping"}) || redis.Healthcheck.Retries == 0 {
		t.Errorf("redis: %+v", redis.Healthcheck)
	}
	// A service that goes on while Redis is away is well.
	if !slices.Equal(service.Healthcheck.Test, []string{"CMD", "/usr/local/bin/poolkeeper", "status", "--serving"}) {
		t.Errorf("the service: %+v", service.Healthcheck)
	}
	for name, s := range file.Services {
		if len(s.Ports) == 0 || s.Restart != "unless-stopped" {
			t.Errorf("%s: ports %v, restart %q", name, s.Ports, s.Restart)
		}
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s: port %s is open to other machines", name, p)
			}
		}
		for _, v := range s.Volumes {
			source, _, _ := strings.Cut(v, ":")
			if _, ok := file.Volumes[source]; !ok && !strings.HasPrefix(source, "./") {
				t.Errorf("%s: there is no volume %s", name, source)
			}
		}
	}
	if !slices.Contains(redis.Volumes, "redis-data:/data") {
		t.Errorf("redis keeps its data in no volume: %v", redis.Volumes)
	}
	on, ok := service.DependsOn["redis"]
	if !ok || on.Condition != "service_healthy" || on.Required == nil || *on.Required {
		t.Errorf("the service depends on redis as %+v", on)
	}
	if service.Environment["REDIS_URL"] != "redis://redis:6379" {
		t.Errorf("REDIS_URL is %q", service.Environment["REDIS_URL"])
	}
	for _, path := range []string{service.Build.Context, filepath.Join(service.Build.Context, service.Build.Dockerfile)} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
	// No secret stands in the file, nor in an environment that `docker inspect` shows.
	for name := range service.Environment {
		if strings.Contains(name, "KEY") && !strings.HasSuffix(name, "_FILE") {
			t.Errorf("%s holds a secret", name)
		}
	}
	if !slices.Equal(service.Secrets, []string{"poolkeeper-api-key"}) || file.Secrets["poolkeeper-api-key"]["file"] == "" ||
		service.Environment["POOLKEEPER_API_KEY_FILE"] != "/run/secrets/poolkeeper-api-key" {
		t.Errorf("the key: %v %v", service.Secrets, file.Secrets)
	}
	if !service.ReadOnly || !slices.Equal(service.CapDrop, []string{"ALL"}) || !slices.Contains(service.SecurityOpt, "no-new-privileges:true") {
		t.Error("the container has more rights than it needs")
	}
	// It is called by its host name, which it has to know.
	if addr := service.Environment["POOLKEEPER_ADDR"]; addr != service.Hostname+":8787" || !slices.Equal(service.Ports, []string{"127.0.0.1:8787:8787"}) {
		t.Errorf("it listens on %s, is %s, and is published as %v", addr, service.Hostname, service.Ports)
	}
}

// TestComposeRedis starts Redis with the arguments of the compose file: it is as
// the service wants it, without a warning, and has its data after a kill.
func TestComposeRedis(t *testing.T) {
	args, ok := strings.CutPrefix(compose(t).Services["redis"].Command, "redis-server --")
	if !ok {
		t.Fatal("the command is not redis-server with arguments")
	}
	var opts []redistest.Option
	for arg := range strings.SplitSeq(args, " --") {
		name, value, _ := strings.Cut(arg, " ")
		opts = append(opts, redistest.WithConfig(name, value))
	}
	srv := redistest.Start(t, opts...)
	env := environ("REDIS_URL="+srv.URL(), "POOLKEEPER_STATE_DIR="+t.TempDir())
	run(t, program(t), env, "init")
	if out := run(t, program(t), env, "status"); strings.Contains(out, "warning") || !strings.Contains(out, "noeviction") {
		t.Errorf("%s", out)
	}
	if v, err := srv.Do("CONFIG", "GET", "appendonly"); err != nil || len(v.([]any)) != 2 || v.([]any)[1] != "yes" {
		t.Errorf("appendonly is %v %v", v, err)
	}
}
