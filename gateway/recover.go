package gateway

import (
	"log/slog"
	"net/http"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tokenvault/tokenvault/vault/secret"
)

// recoverPanics stands before all else. A panic is answered like any other fault; net/http
// would print its value, which may be anything of the request.
func (g *gateway) recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			value := recover()
			if value == nil {
				return
			}
			if value == http.ErrAbortHandler {
				panic(value) // means to close the connection, and is not logged
			}
			g.log.LogAttrs(r.Context(), slog.LevelError, "a request has panicked: this is a fault of the vault's", slog.String("method", r.Method), slog.String("panic", secret.DescribePanic(value)))
			g.answerError(w, r, http.StatusInternalServerError, status.New(codes.Internal, "Something went wrong inside the vault. Its operator finds the cause in the log."))
		}()
		next.ServeHTTP(w, r)
	})
}
