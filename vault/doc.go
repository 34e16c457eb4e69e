// Package vault is the engine: connections, the flows that make them, and the
// credentials that come of them. It knows nothing of gRPC or HTTP handlers.
//
// # Model
//
// A connection is named by tenant, subject, provider and label. It holds at most
// one grant, which serves callers, and at most one candidate: a grant fresh from
// a person's consent, stored before anything else could fail, and put into
// service once the provider has told whose account it is. A candidate of another
// account than the connection's is dropped, and the grant goes on as it was.
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
// # States
//
//	CONNECTED ----------- grant dead, or ended without ----> REAUTHORIZATION_REQUIRED
//	    |                 a refresh token                           |
//	    | ends within 7 days,                                       | Connect again
//	    | nothing to refresh with                                   v
//	EXPIRING_SOON                                               CONNECTED
//
// Disconnect deletes a connection in every state. Links that were made before do
// not bring it back.
//
// # Refreshing
//
//	lock -> read again -> intent, stored -> refresh token used -> new tokens,
//	stored in place of the old ones and no others -> release
//
// What a process that was stopped has left open (an intent without new tokens) is
// settled by whoever takes the lock next: asked again within the provider's
// grace, and else said to be lost. A process that goes on after an answer was
// lost does the same, except that past the grace it leaves the refresh token
// alone while the access token works, and then tries: there is nothing left to
// lose. Tokens that the store would not take are kept in memory until it does.
//
// The background refreshes at 80 % of a token's life, give or take 5, by an index
// in the store that moves with the connections. A breaker before each provider
// keeps an outage from costing requests, and its end from being a stampede.
//
// # Promises
//
// Everything is checked before a code is redeemed: the state (one use), the
// browser that brings it, the provider it belongs to, the issuer, the session,
// and that nobody has disconnected since. Tokens are stored before anything else
// is done with them. Nothing cuts a request with a code or a refresh token short
// but its own time limit. Only the provider's word that a grant is dead, or the
// certainty that its tokens were lost, marks a connection. Tokens to be revoked
// lie in the store until the provider has confirmed it, for a week at most.
// Watchers get every change once, as it was written with the change itself.
//
// # Errors
//
// What a caller may be told is an [*Error]: a [Reason] for programs and a message
// for people. Everything else is internal, and its text is for the log.
package vault
