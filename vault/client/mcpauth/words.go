package mcpauth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/tokenvault/tokenvault/vault/client"
)

// question is what people are asked.
func (a *Auth) question(f *flow) string {
	if f.key.refused != 0 {
		return fmt.Sprintf("Your %s account has to be connected again. Open the link in your browser and allow access. It is for you alone.", a.config.DisplayName)
	}
	return fmt.Sprintf("Connect your %s account to go on. Open the link in your browser and allow access. It is for you alone.", a.config.DisplayName)
}

// inText asks in a text for the model and the person, where the client knows no other
// way.
func (a *Auth) inText(f *flow) error {
	if f.isDone() && f.connected {
		return fmt.Errorf("the %s account has just been connected. Call this tool again", a.config.DisplayName)
	}
	what := "No %s account is connected yet, so nothing was done."
	if f.key.refused != 0 {
		what = "The %s account has to be connected again, so nothing was done."
	}
	return fmt.Errorf(what+" Ask the person whom this is for to open this link in their browser and to allow access:\n\n%s\n\n"+
		"The link works until %s%s, and for that person alone: do not pass it on to anybody else. When they say that they are done, call this tool again.",
		a.config.DisplayName, f.link.URL, f.link.ExpireTime.UTC().Format("15:04 UTC"), whileRunning(f.link))
}

// whileRunning is a reminder where browsers come back to this process.
func whileRunning(link *client.Link) string {
	if !link.Local {
		return ""
	}
	return " and while this server keeps running"
}

func (a *Auth) declined(why string) error {
	return fmt.Errorf("%s was not connected: %s. Ask them before you call this tool again", a.config.DisplayName, why)
}

// noLink is what is said when a link cannot be had.
func (a *Auth) noLink(ctx context.Context, tool string, err error) error {
	failed, ok := errors.AsType[*client.Error](err)
	switch {
	case errors.Is(err, errClosed), errors.Is(err, errTooMany), ctx.Err() != nil:
		return err
	case !ok:
		a.log.ErrorContext(ctx, "mcpauth: no link for a person", slog.String("tool", tool), slog.Any("cause", err))
		return a.operator()
	case failed.Reason == "INVALID_RETURN_URL":
		a.log.ErrorContext(ctx, "mcpauth: the vault makes no link without a return URL that it knows: "+cmp.Or(a.config.ReturnAdvice, returnAdvice), slog.String("tool", tool), slog.Any("cause", err))
		return a.operator()
	default:
		return a.inWords(ctx, tool, failed)
	}
}

// returnAdvice is for those who write the program.
const returnAdvice = "use binding: login there, or set Connect.ReturnURL to the page of an application that confirms connections; where people use this server on their own machine, set OnThisMachine"

// operator is for what only the operator can mend.
func (a *Auth) operator() error {
	return fmt.Errorf("%s cannot be used through this server at the moment, and calling this tool again does not help: its operator has to change the configuration, and finds the reason in its log", a.config.DisplayName)
}

// inWords says what an error of the vault's means, and whether to try again. The vault's
// own text is for the log: it may name what is nobody's concern here.
func (a *Auth) inWords(ctx context.Context, tool string, e *client.Error) error {
	a.log.ErrorContext(ctx, "mcpauth: no credentials for a tool", slog.String("tool", tool), slog.Any("cause", e))
	name := a.config.DisplayName
	switch e.Reason {
	case "PROVIDER_UNAVAILABLE", "TOKEN_REFUSED":
		return fmt.Errorf("%s is not working properly at the moment, so nothing was done. Call this tool again %s", name, after(e.RetryAfter))
	case "SCOPES_MISSING":
		return fmt.Errorf("the %s account is connected, but with fewer permissions than this tool needs, so nothing was done. The person has to connect it again and allow all of them", name)
	case "NOT_CONNECTED", "REAUTHORIZATION_REQUIRED":
		return errors.New("this tool also needs another account, which is not connected, so nothing was done. Tell the person; calling this tool again does not help before that")
	}
	switch e.Code {
	case codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted, codes.Aborted:
		return fmt.Errorf("this server does not get at the credentials for %s at the moment, so nothing was done. Call this tool again %s", name, after(e.RetryAfter))
	case codes.Canceled:
		return fmt.Errorf("the call was ended before there were credentials for %s, and nothing was done", name)
	}
	return a.operator()
}

// after says when to try again.
func after(pause time.Duration) string {
	switch seconds := int(pause.Round(time.Second) / time.Second); {
	case seconds <= 0:
		return "in a minute"
	case seconds == 1:
		return "in a second"
	case seconds < 120:
		return fmt.Sprintf("in %d seconds", seconds)
	default:
		return fmt.Sprintf("in %d minutes", (seconds+59)/60)
	}
}
