// Package vault is the engine: connections, the flows that make them, and the
// credentials that come of them. It knows nothing of gRPC or HTTP handlers.
//
// # Model
//
// A connection is named by tenant, subject, provider and label. It holds at most
// one grant, which serves callers; at most one candidate: a fresh grant, stored
// before anything else could fail, and put into service once the provider has
// told whose account it is; and at most one API key, which serves where the grant
// does not. A candidate of another account than the connection's is dropped, and
// the grant goes on as it was. Grant and API key know nothing of each other:
// each is set and deleted without the other.
//
//	            Connect          Authorize           Callback
//	(program) ---------> session ---------> flow -------------> candidate
//	                     10 min,            one browser,            |
//	                     one use            one state               | account known
//	                                                                v
//	          GetCredentials <------------------------------------ grant
//	                                                                |
//	   refreshed ahead of its end, once for all who ask <-----------+
//
// With BindingConfirm, a callback does not go as far: it holds its code, and Confirm
// redeems it, once the host application has said who came back. With BindingLogin,
// Authorize sends the browser to sign in first, and comes after that.
//
// There are two more ways to a candidate. With a device code the person consents
// somewhere else, and the background asks the provider whether they have. With
// client credentials there is no person: Connect asks the provider at once.
//
// # States
//
//	        SetAPIKey                          DeleteAPIKey
//	(none) -----------> DISCONNECTED (API key) ------------> (none)
//	   |                      |
//	   +--- flow finished ----+
//	               |
//	               v
//	           CONNECTED ----- grant dead, or ended and ----> REAUTHORIZATION_REQUIRED
//	            ^  |           not to be refreshed               ^         |
//	     flow   |  | ends for good                               |         | flow
//	   finished |  v within 7 days                               |         v finished
//	          EXPIRING_SOON ---------- ended --------------------+     CONNECTED
//
// Disconnect deletes grant and candidate, and so ends the connection, except that
// an API key stays: then the connection is DISCONNECTED. Links that were made
// before do not bring the grant back.
//
// # Refreshing
//
//	lock -> read again -> intent, stored -> refresh token used -> new tokens,
//	stored in place of the old ones and no others -> release
//
// What a process that was stopped has left open (an intent without new tokens) is
// settled by whoever takes the lock next: asked again within the provider's
// grace, or where the provider is known not to replace refresh tokens, and else
// taken to be lost, whether or not the request was ever sent. A process that goes
// on after an answer was lost does the same, except that past the grace it leaves
// the refresh token alone while the access token works, and then tries: there is
// nothing left to lose. Tokens that the store would not take are kept in memory
// until it does.
//
// The background refreshes at 80 % of a token's life, give or take 5, by an index
// in the store that moves with the connections. A breaker before each provider
// keeps an outage from costing requests, and its end from being a stampede.
//
// # Promises
//
// Everything is checked before a code is redeemed: the state (one use), the
// browser that brings it, the provider it belongs to, the issuer, the session, whose
// flow it is, and that nobody has disconnected since. Tokens are stored before anything else is
// done with them. Nothing cuts a request with a code or a refresh token short but
// its own time limit. No failure of the provider marks a connection as in need of
// its person: only the provider's word that the grant is dead, its end where there
// is nothing to refresh it with, a refresh left open past the provider's grace,
// whose tokens may be lost, and a candidate that came to nothing where there is no
// grant. Tokens to be revoked lie in the store until the provider has confirmed
// it, for a week at most. Watchers get every change once, as it was written with
// the change itself.
//
// # Errors
//
// What a caller may be told is an [*Error]: a [Reason] for programs and a message
// for people. Everything else is internal, and its text is for the log.
package vault
