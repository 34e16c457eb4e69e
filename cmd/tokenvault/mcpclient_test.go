package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tokenvault/tokenvault/vault/sandbox"
	"github.com/tokenvault/tokenvault/vault/vaulttest/mcptest"
)

// TestFromADevelopmentVaultToAnMCPClient does what a newcomer does: starts a development
// vault, runs the command that it prints, which is the README's, and gives an MCP client
// what that prints, which is the README's too.
func TestFromADevelopmentVaultToAnMCPClient(t *testing.T) {
	folder := t.TempDir()
	bin := filepath.Join(folder, "bin")
	buildPrograms(t, bin)
	command := printedForMCP(t, folder, filepath.Join(bin, "tokenvault"))
	sh := exec.CommandContext(t.Context(), "sh", "-c", command)
	sh.Dir = folder
	said, err := sh.Output()
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	var config struct {
		Servers map[string]struct {
			Command string
			Args    []string
			Env     map[string]string
		} `json:"mcpServers"`
	}
	if err := json.Unmarshal(said, &config); err != nil {
		t.Fatalf("%s prints %s: %v", command, said, err)
	}
	wantREADMEs(t, folder, command, string(said))
	server := config.Servers["mailchimp"]
	program := exec.CommandContext(t.Context(), server.Command, server.Args...)
	program.Dir = t.TempDir() // clients start it anywhere
	for name, value := range server.Env {
		program.Env = append(program.Env, name+"="+value)
	}
	var browser sync.WaitGroup
	defer browser.Wait()
	options := &mcp.ClientOptions{}
	(&mcptest.App{Open: func(_ context.Context, link string) string {
		browser.Go(func() { approveLink(t, link) })
		return "accept"
	}}).Install(options)
	client := mcp.NewClient(&mcp.Implementation{Name: "client", Version: "1"}, options)
	session, err := client.Connect(t.Context(), &mcp.CommandTransport{Command: program}, nil)
	if err != nil {
		t.Fatal(err)
	}
	result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "list_audiences", Arguments: map[string]any{}})
	if err != nil || result.IsError {
		t.Errorf("list_audiences says %+v, %v", result, err)
	}
	if err := session.Close(); err != nil {
		t.Error(err)
	}
}

// wantREADMEs fails unless the README has the same command, and shows what it prints.
func wantREADMEs(t *testing.T, folder, command, config string) {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	addr := regexp.MustCompile(`127\.0\.0\.1:\d+`)
	command = addr.ReplaceAllString(strings.ReplaceAll(command, folder+"/", ""), "127.0.0.1:9090")
	config = addr.ReplaceAllString(strings.ReplaceAll(config, folder+"/", "/home/alice/tokenvault/"), "127.0.0.1:9090")
	for _, block := range []string{"```sh\n" + command + " | tee mcp.json\n```\n", "```json\n" + config + "```\n"} {
		if !strings.Contains(string(readme), block) {
			t.Errorf("the README does not have\n%s", block)
		}
	}
}

// printedForMCP starts a development vault for the length of the test, and returns what
// it has people run for MCP clients.
func printedForMCP(t *testing.T, folder, program string) string {
	t.Helper()
	text := startDev(t, folder, program)
	match := regexp.MustCompile(`(?m)^  (\S*mailchimp-mcp config .*)$`).FindStringSubmatch(text)
	if match == nil {
		t.Fatalf("dev prints nothing for MCP clients, but\n%s", text)
	}
	return match[1]
}

// startDev starts a development vault for the length of the test, and returns what it
// prints.
func startDev(t *testing.T, folder, program string, flags ...string) string {
	t.Helper()
	addresses, err := freeAddresses(3)
	if err != nil {
		t.Fatal(err)
	}
	dev := exec.Command(program, append([]string{"dev", "--grpc", addresses[0], "--http", addresses[1], "--sandbox", addresses[2]}, flags...)...)
	dev.Dir = folder
	out, err := dev.StdoutPipe()
	if err := errors.Join(err, dev.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(dev.Process.Signal(os.Interrupt), dev.Wait()); err != nil {
			t.Error(err)
		}
	})
	var text strings.Builder
	for buffer := make([]byte, 4096); !strings.Contains(text.String(), "Ctrl-C"); {
		n, err := out.Read(buffer)
		text.Write(buffer[:n])
		if err != nil {
			t.Fatalf("dev prints %s: %v", &text, err)
		}
	}
	return text.String()
}

// buildPrograms builds both programs into a folder, where dev finds the one for MCP.
func buildPrograms(t *testing.T, bin string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin+"/", ".", "../mailchimp-mcp").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// approveLink is somebody at a browser.
func approveLink(t *testing.T, link string) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Error(err)
		return
	}
	page, err := sandbox.Person{Client: &http.Client{Jar: jar}}.Approve(context.Background(), link, sandbox.DefaultAccounts()[0].ID) // not the call's, which may end first
	if err != nil {
		t.Error(err)
		return
	}
	_, err = io.Copy(io.Discard, page.Body)
	if err := errors.Join(err, page.Body.Close()); err != nil || page.StatusCode != http.StatusOK {
		t.Errorf("the browser ends at %d, %v", page.StatusCode, err)
	}
}
