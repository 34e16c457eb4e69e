package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tokenvault/tokenvault/vault/secret"
)

func TestABodyIsRefusedBeforeItIsRead(t *testing.T) {
	s := httptest.NewServer(withAnswerTime(readBodies(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it is passed on") }))))
	defer s.Close()
	resp := post(t, s.URL, secret.String{}, strings.Repeat("x", maxBody+1))
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("status = %d, want 413", resp.StatusCode)
	}
}
