package gateway

import (
	"net/http"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tokenvault/tokenvault/vault/httpserve"
)

// recoverPanics stands before all else.
func (g *gateway) recoverPanics(next http.Handler) http.Handler {
	return httpserve.RecoverPanics(g.log, "the vault's", func(w http.ResponseWriter, r *http.Request) {
		g.answerError(w, r, http.StatusInternalServerError, status.New(codes.Internal, "Something went wrong inside the vault. Its operator finds the cause in the log."))
	}, next)
}
