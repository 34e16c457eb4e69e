package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// fail answers a call that failed. It replaces grpc-gateway's own handler, which
// copies error messages into headers.
func (g *gateway) fail(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
	st := status.Convert(err)
	g.answerError(w, r, runtime.HTTPStatusFromCode(st.Code()), st)
}

// answerError answers with a page on the browser's paths, with the status as JSON
// on those of the API.
func (g *gateway) answerError(w http.ResponseWriter, r *http.Request, code int, st *status.Status) {
	if isForBrowsers(r) {
		p := errorPage(st)
		if p.Next = wayOn(r, reasonOf(st)); p.Next == nil && g.signIn.of(r) != "" {
			next := g.portal.toPortal()
			p.Next = &next
		}
		g.pages.write(w, code, p)
		return
	}
	if st.Code() == codes.Unauthenticated {
		w.Header().Set("WWW-Authenticate", `Bearer realm="tokenvault"`)
	}
	for _, detail := range st.Details() {
		if retry, ok := detail.(*errdetails.RetryInfo); ok {
			seconds := int(retry.GetRetryDelay().AsDuration().Seconds() + 0.999)
			w.Header().Set("Retry-After", strconv.Itoa(seconds))
		}
	}
	body, err := g.marshaler.Marshal(st.Proto())
	if err != nil {
		g.log.Error("error not written", slog.Any("cause", err))
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", g.marshaler.ContentType(st.Proto()))
	w.WriteHeader(code)
	_, _ = w.Write(body)
}

// errorPage tells a person what happened. Its words come from the engine, whose
// messages are written for people; what gRPC and grpc-gateway have to say is not.
func errorPage(st *status.Status) page {
	title := errorTitle("")
	text := "The address is not complete, or it is not one of this service. Open the link again as you got it."
	switch st.Code() {
	case codes.NotFound, codes.Unimplemented:
		title = "There is nothing here"
	case codes.InvalidArgument:
	default:
		text = "Something went wrong on our side. Please try again in a moment."
	}
	if reason := reasonOf(st); reason != "" {
		return page{Title: errorTitle(reason), Text: append([]string{messageOf(st)}, nextStep(reason)...), Failed: reason != "SESSION_USED"}
	}
	return page{Title: title, Text: []string{text}, Failed: true}
}

// reasonOf is the reason that the server gives. Empty: none.
func reasonOf(st *status.Status) string {
	for _, detail := range st.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return ""
}

// messageOf is the engine's message, but where it is for those who run the service.
func messageOf(st *status.Status) string {
	if reasonOf(st) == "PROVIDER_MISCONFIGURED" {
		return "The provider does not take requests from here at the moment. Nothing was changed. The people who run this service have to see to it."
	}
	return st.Message()
}

// nextStep is what a person at a browser can do besides what the message says.
func nextStep(reason string) []string {
	if reason == "ACCESS_DENIED" {
		return []string{"Changed your mind? Open the link again."}
	}
	return nil
}

// signInAgain is the parameter of a link that has the person sign in as somebody else.
const signInAgain = "sign_in_again"

// wayOn lets a person sign in as who the link is for.
func wayOn(r *http.Request, reason string) *step {
	if reason != "SESSION_WRONG_SUBJECT" || !strings.HasSuffix(r.URL.Path, "/authorize") {
		return nil
	}
	again := url.URL{Path: r.URL.Path, RawQuery: url.Values{"session": {r.URL.Query().Get("session")}, signInAgain: {"true"}}.Encode()}
	return &step{Text: "Sign in as somebody else", Link: again.String()}
}

func errorTitle(reason string) string {
	switch reason {
	case "SESSION_WRONG_SUBJECT":
		return "This link is for somebody else"
	case "SIGN_IN_FAILED":
		return "You are not signed in"
	case "SESSION_EXPIRED":
		return "This link does not work any more"
	case "SESSION_USED":
		return "There is nothing left to do here"
	case "BROWSER_UNKNOWN":
		return "Please finish in the browser you began in"
	case "ACCESS_DENIED":
		return "Access was declined"
	case "ACCOUNT_MISMATCH":
		return "That is another account"
	case "PROVIDER_UNAVAILABLE":
		return "The provider is not answering"
	default:
		return "The account was not connected"
	}
}
