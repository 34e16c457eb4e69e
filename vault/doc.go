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
//	   refreshed when it ends, once for all who ask <---------------+
//
// # States
//
//	CONNECTED ----------- grant dead, or ended without ----> REAUTHORIZATION_REQUIRED
//	    |                 a refresh token                           |
//	    | ends within 7 days,                                       | Connect again
//	    | nothing to refresh with                                   v
//	EXPIRING_SOON                                               CONNECTED
//
// Disconnect deletes a connection in every state.
//
// # Promises
//
// Everything is checked before a code is redeemed: the state (one use), the
// browser that brings it, the provider it belongs to, the issuer, the session.
// Tokens are stored before anything else is done with them. A refresh runs on a
// context of its own under the connection's lock, and is committed against the
// generation that it began with. Only the provider's word that a grant is dead
// marks a connection.
//
// # Errors
//
// What a caller may be told is an [*Error]: a [Reason] for programs and a message
// for people. Everything else is internal, and its text is for the log.
package vault
