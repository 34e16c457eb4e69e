package server

import (
	"slices"
	"testing"

	"google.golang.org/grpc"
)

// TestEveryServedMethodIsInTheTable fails for an RPC that nobody has thought
// about who may call it, and for a row that is served nowhere.
func TestEveryServedMethodIsInTheTable(t *testing.T) {
	s := New(Config{})
	t.Cleanup(func() { s.public.Stop(); s.gateway.Stop() })
	table := methods()
	served := map[string]bool{}
	for l, srv := range map[listener]*grpc.Server{publicListener: s.public, gatewayListener: s.gateway} {
		for service, info := range srv.GetServiceInfo() {
			for _, m := range info.Methods {
				full := "/" + service + "/" + m.Name
				served[full] = true
				row, ok := table[full]
				if !ok || row.who == nobody {
					t.Errorf("%s is served, but not in the table", full)
				}
				if row.name != m.Name {
					t.Errorf("%s has the name %q in the table", full, row.name)
				}
				ofBrowsers := row.who == browser || row.who == person
				if ofBrowsers && row.public || row.who == anyone && row.gateway || l == publicListener && ofBrowsers {
					t.Errorf("%s: a browser's method on the public listener, or an open one behind the gateway", full)
				}
			}
		}
	}
	for full := range table {
		if !served[full] {
			t.Errorf("%s is in the table, but not served", full)
		}
	}
}

// TestWhatPeopleDoIsAnRPCOfPrograms fails for an action of the portal that no rule of a
// caller is about.
func TestWhatPeopleDoIsAnRPCOfPrograms(t *testing.T) {
	for full, m := range methods() {
		if m.who == person && m.names == aProvider && !slices.Contains(RPCs(), m.like) {
			t.Errorf("%s is like %q, which is no RPC for programs", full, m.like)
		}
	}
}

func TestCredentialsDoNotLeaveThroughTheGateway(t *testing.T) {
	for full, m := range methods() {
		if m.name == "GetCredentials" && m.servedOn(gatewayListener) {
			t.Errorf("%s is to be had through the gateway", full)
		}
	}
}
