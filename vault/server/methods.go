package server

import (
	"slices"

	grpc_health_v1 "google.golang.org/grpc/health/grpc_health_v1"
	reflection_v1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflection_v1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
)

// audience says who may call a method.
type audience int

const (
	// nobody is the zero value: what is not in the table is refused.
	nobody audience = iota
	// anyone, without a credential.
	anyone
	// anyCaller who has authenticated.
	anyCaller
	// allowedCaller: one whose rules name the RPC and, where the request
	// names them, the subject and the provider.
	allowedCaller
	// browser: identified by the flow cookie, which the engine checks.
	browser
	// person: who is signed in in a browser, at the providers that the sign-in
	// reaches.
	person
)

// listener says through which door a call came.
type listener int

const (
	publicListener listener = iota + 1
	gatewayListener
)

// names says which names a request has, that a caller's rules are compared with.
type names int

const (
	_ names = iota // the zero value: an RPC for allowed callers that does not say is refused
	// nothing: the answer is the same for all, or holds only what the caller may see.
	nothing
	// aConnection: a subject and a provider.
	aConnection
	// aSubject alone: the handler compares the provider, which it knows.
	aSubject
	// aProvider alone.
	aProvider
	// aFilter: a subject and a provider, either of which may be left out.
	aFilter
)

// method is a row of the table.
type method struct {
	name    string // without the service, as rules name it
	who     audience
	names   names
	public  bool   // to be had on the public listener
	gateway bool   // to be had through the gateway
	noted   bool   // the handler notes which connection it was about
	waits   bool   // for something to happen, and tells no more than that it has: not on record
	like    string // the RPC for programs that does the same, and that a person's sign-in has to allow
}

func (m method) servedOn(l listener) bool {
	return l == publicListener && m.public || l == gatewayListener && m.gateway
}

// needsCaller reports whether the method is for authenticated programs alone.
func (m method) needsCaller() bool { return m.who == anyCaller || m.who == allowedCaller }

// ours reports whether the method is one of tokenvault.v1, not of gRPC's own
// services.
func (m method) ours() bool { return m.who == allowedCaller || m.who == browser || m.who == person }

// methods is the table: who may call which RPC, where, and what its requests name. A
// method that is missing is refused, and a test fails.
func methods() map[string]method {
	return map[string]method{
		tokenvaultv1.VaultService_Connect_FullMethodName:           {name: "Connect", who: allowedCaller, names: aConnection, public: true, gateway: true},
		tokenvaultv1.VaultService_ConfirmConnection_FullMethodName: {name: "ConfirmConnection", who: allowedCaller, names: aSubject, public: true, gateway: true, noted: true},
		tokenvaultv1.VaultService_GetCredentials_FullMethodName:    {name: "GetCredentials", who: allowedCaller, names: aConnection, public: true},
		tokenvaultv1.VaultService_RefreshConnection_FullMethodName: {name: "RefreshConnection", who: allowedCaller, names: aConnection, public: true, gateway: true},
		tokenvaultv1.VaultService_WatchConnections_FullMethodName:  {name: "WatchConnections", who: allowedCaller, names: aFilter, public: true},
		tokenvaultv1.VaultService_GetConnection_FullMethodName:     {name: "GetConnection", who: allowedCaller, names: aConnection, public: true, gateway: true},
		tokenvaultv1.VaultService_ListConnections_FullMethodName:   {name: "ListConnections", who: allowedCaller, names: aFilter, public: true, gateway: true},
		tokenvaultv1.VaultService_Disconnect_FullMethodName:        {name: "Disconnect", who: allowedCaller, names: aConnection, public: true, gateway: true},

		tokenvaultv1.VaultService_SetAPIKey_FullMethodName:    {name: "SetAPIKey", who: allowedCaller, names: aConnection, public: true, gateway: true},
		tokenvaultv1.VaultService_DeleteAPIKey_FullMethodName: {name: "DeleteAPIKey", who: allowedCaller, names: aConnection, public: true, gateway: true},

		tokenvaultv1.VaultService_CreatePortalSession_FullMethodName: {name: "CreatePortalSession", who: allowedCaller, names: aSubject, public: true, gateway: true},

		tokenvaultv1.AdminService_ListProviders_FullMethodName:      {name: "ListProviders", who: allowedCaller, names: nothing, public: true},
		tokenvaultv1.AdminService_RotateClientSecret_FullMethodName: {name: "RotateClientSecret", who: allowedCaller, names: aProvider, public: true},
		tokenvaultv1.AdminService_VerifyAudit_FullMethodName:        {name: "VerifyAudit", who: allowedCaller, names: nothing, public: true},

		tokenvaultv1.OAuthService_Authorize_FullMethodName:     {name: "Authorize", who: browser, gateway: true, noted: true},
		tokenvaultv1.OAuthService_Callback_FullMethodName:      {name: "Callback", who: browser, gateway: true, noted: true},
		tokenvaultv1.OAuthService_LoginCallback_FullMethodName: {name: "LoginCallback", who: browser, gateway: true, noted: true},

		tokenvaultv1.PortalService_LookAtPortalLink_FullMethodName:   {name: "LookAtPortalLink", who: browser, gateway: true, noted: true},
		tokenvaultv1.PortalService_OpenPortal_FullMethodName:         {name: "OpenPortal", who: browser, gateway: true, noted: true},
		tokenvaultv1.PortalService_SignOut_FullMethodName:            {name: "SignOut", who: person, names: nothing, gateway: true},
		tokenvaultv1.PortalService_GetPortal_FullMethodName:          {name: "GetPortal", who: person, names: nothing, gateway: true},
		tokenvaultv1.PortalService_WaitPortal_FullMethodName:         {name: "WaitPortal", who: person, names: nothing, gateway: true, waits: true},
		tokenvaultv1.PortalService_PortalConnect_FullMethodName:      {name: "PortalConnect", who: person, names: aProvider, gateway: true, like: "Connect"},
		tokenvaultv1.PortalService_PortalRefresh_FullMethodName:      {name: "PortalRefresh", who: person, names: aProvider, gateway: true, like: "RefreshConnection"},
		tokenvaultv1.PortalService_PortalDisconnect_FullMethodName:   {name: "PortalDisconnect", who: person, names: aProvider, gateway: true, like: "Disconnect"},
		tokenvaultv1.PortalService_PortalSetAPIKey_FullMethodName:    {name: "PortalSetAPIKey", who: person, names: aProvider, gateway: true, like: "SetAPIKey"},
		tokenvaultv1.PortalService_PortalDeleteAPIKey_FullMethodName: {name: "PortalDeleteAPIKey", who: person, names: aProvider, gateway: true, like: "DeleteAPIKey"},

		grpc_health_v1.Health_Check_FullMethodName: {name: "Check", who: anyone, public: true},
		grpc_health_v1.Health_List_FullMethodName:  {name: "List", who: anyone, public: true},
		grpc_health_v1.Health_Watch_FullMethodName: {name: "Watch", who: anyone, public: true},

		reflection_v1.ServerReflection_ServerReflectionInfo_FullMethodName:      {name: "ServerReflectionInfo", who: anyCaller, public: true},
		reflection_v1alpha.ServerReflection_ServerReflectionInfo_FullMethodName: {name: "ServerReflectionInfo", who: anyCaller, public: true},
	}
}

// RPCs returns the names that the rules of callers may use, sorted.
func RPCs() []string {
	var names []string
	for _, m := range methods() {
		if m.who == allowedCaller {
			names = append(names, m.name)
		}
	}
	slices.Sort(names)
	return names
}

// portalActions returns which of the RPCs that people can have called for them in the
// portal are allowed, sorted.
func portalActions(allowed func(rpc string) bool) []string {
	var names []string
	for _, m := range methods() {
		if m.like != "" && allowed(m.like) {
			names = append(names, m.like)
		}
	}
	slices.Sort(names)
	return names
}
