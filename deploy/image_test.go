package deploy_test

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/poolkeeper/poolkeeper/internal/redistest"
)

// An instruction of a Dockerfile.
type instruction struct{ name, args string }

// stages returns the instructions of a Dockerfile, by stage.
func stages(t *testing.T) [][]instruction {
	t.Helper()
	var out [][]instruction
	for _, line := range lines(strings.ReplaceAll(read(t, "Dockerfile"), "\\\n", " ")) {
		name, args, _ := strings.Cut(line, " ")
		if name == "FROM" {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], instruction{name, strings.TrimSpace(args)})
	}
	return out
}

// args returns the arguments of the instructions of one name.
func args(stage []instruction, name string) (out []string) {
	for _, i := range stage {
		if i.name == name {
			out = append(out, i.args)
		}
	}
	return out
}

// TestImage runs the build steps of the Dockerfile as a script, and what comes
// of them as the image would: a static binary, as a user that is not root, with
// the environment of the image and no other.
func TestImage(t *testing.T) {
	all := stages(t)
	if len(all) != 2 {
		t.Fatalf("%d stages", len(all))
	}
	buildStage, image := all[0], all[1]
	goMod := read(t, "../go.mod")
	_, version, _ := strings.Cut(goMod, "\ngo ")
	version = strings.Join(strings.Split(strings.Fields(version)[0], ".")[:2], ".")
	if want := "golang:" + version + "-alpine AS build"; buildStage[0].args != want {
		t.Errorf("it is built FROM %s; go.mod wants %s", buildStage[0].args, want)
	}
	if image[0].args != "scratch" {
		t.Errorf("the image is FROM %s", image[0].args)
	}

	out := t.TempDir()
	script := "set -eu\n"
	for _, step := range args(buildStage, "RUN") {
		script += strings.ReplaceAll(step, "/out/", out+"/") + "\n"
	}
	cmd := exec.Command("sh", "-c", script)
	cmd.Dir = ".." // what COPY . . makes of WORKDIR
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, text)
	}
	for _, c := range args(image, "COPY") {
		from, rest, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(c, "--from=build")), " ")
		if strings.HasPrefix(from, "--chown") {
			from, _, _ = strings.Cut(rest, " ")
		}
		if name, ours := strings.CutPrefix(from, "/out/"); ours {
			if _, err := os.Stat(filepath.Join(out, name)); err != nil {
				t.Errorf("COPY %s: %v", c, err)
			}
		}
	}
	bin := filepath.Join(out, "poolkeeper")
	checkStatic(t, bin)

	user := args(image, "USER")
	if len(user) != 1 {
		t.Fatalf("USER is %v", user)
	}
	uid, gid, _ := strings.Cut(user[0], ":")
	id, err := strconv.Atoi(uid)
	if err != nil || id == 0 || gid != uid {
		t.Fatalf("USER %s is no number, or is root", user[0])
	}
	if !slices.Contains(args(image, "COPY"), "--from=build --chown="+user[0]+" /out/state /var/lib/poolkeeper") {
		t.Error("the state directory does not belong to the user")
	}
	var entry, command []string
	if err := json.Unmarshal([]byte(strings.Join(args(image, "ENTRYPOINT"), "")), &entry); err != nil || len(entry) != 1 {
		t.Errorf("ENTRYPOINT %v %v", entry, err)
	}
	if err := json.Unmarshal([]byte(strings.Join(args(image, "CMD"), "")), &command); err != nil || !slices.Equal(command, []string{"serve"}) {
		t.Errorf("CMD %v %v", command, err)
	}

	// The environment of the image, with the place of the state moved here.
	var env []string
	for pair := range strings.FieldsSeq(strings.Join(args(image, "ENV"), " ")) {
		env = append(env, strings.Replace(pair, "/var/lib/poolkeeper", out+"/state", 1))
	}
	srv := redistest.Start(t)
	env = append(env, "REDIS_URL="+srv.URL(), "POOLKEEPER_ADDR=127.0.0.1:0", "POOLKEEPER_API_KEY="+apiKey)
	var as *syscall.Credential
	if os.Getuid() == 0 {
		as = &syscall.Credential{Uid: uint32(id), Gid: uint32(id)}
		if err := os.Chown(filepath.Join(out, "state"), id, id); err != nil {
			t.Fatal(err)
		}
		for dir := out; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
			os.Chmod(dir, 0o755) // which tests keep to themselves
		}
		if err := os.Chmod(filepath.Join(out, "state"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	run(t, bin, env, "init")
	s := serve(t, bin, env, as)
	if code, body := s.get(t, "GET", "/readyz"); code != 200 {
		t.Errorf("readyz: %d %s", code, body)
	}
	if code, text := s.stop(); code != 0 {
		t.Errorf("exit code %d: %s", code, text)
	}
}

// checkStatic: it needs no loader and no library, as there are none in the image.
func checkStatic(t *testing.T, bin string) {
	t.Helper()
	data, err := os.ReadFile(bin)
	if err != nil {
		t.Fatal(err)
	}
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		t.Fatalf("%s is no ELF file: %v", bin, err)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("the binary is not static: it needs a loader")
		}
	}
	if libs, err := f.ImportedLibraries(); err != nil || len(libs) > 0 {
		t.Errorf("the binary needs %v %v", libs, err)
	}
}

// TestIgnored: what must not get into an image is left out of its context.
func TestIgnored(t *testing.T) {
	ignored := lines(read(t, "Dockerfile.dockerignore"))
	for _, want := range []string{".git", "deploy/api-key", "deploy/configs", ".run"} {
		if !slices.Contains(ignored, want) {
			t.Errorf("%s is not left out", want)
		}
	}
}
