package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tokenvault/tokenvault/cmd/tokenvault/internal/config"
	"github.com/tokenvault/tokenvault/vault/audit"
	"github.com/tokenvault/tokenvault/vault/server"
)

// tailFlags say which lines of the audit log to show.
type tailFlags struct {
	config, caller, subject, provider, rpc, outcome string
	lines                                           int
	follow, json                                    bool
}

func newAuditTail() *cobra.Command {
	var f tailFlags
	cmd := &cobra.Command{
		Use:   "tail [FILE]",
		Short: "Show the newest entries, for people",
		Long: `Shows the newest entries of the audit log, a line each. It reads the file and needs no
key; it does not verify anything (tokenvault audit verify does).`,
		Example: "  tokenvault audit tail --follow --outcome denied",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := f.path(args)
			if err != nil {
				return err
			}
			return f.tail(cmd.Context(), path, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&f.config, "config", "tokenvault.yaml", "the configuration `file` that says where the log is, unless FILE does")
	cmd.Flags().IntVarP(&f.lines, "lines", "n", 20, "show so many `entries` at first")
	cmd.Flags().BoolVarP(&f.follow, "follow", "f", false, "go on with what is to come, until Ctrl-C")
	cmd.Flags().StringVar(&f.caller, "caller", "", "only this `caller`'s")
	cmd.Flags().StringVar(&f.subject, "subject", "", "only this `subject`'s")
	cmd.Flags().StringVar(&f.provider, "provider", "", "only this `provider`'s")
	cmd.Flags().StringVar(&f.rpc, "rpc", "", "only this `RPC`, such as GetCredentials")
	cmd.Flags().StringVar(&f.outcome, "outcome", "", "only this `outcome`: allowed, denied or failed")
	cmd.Flags().BoolVar(&f.json, "json", false, "print the lines as they are in the file")
	return cmd
}

func (f *tailFlags) path(args []string) (string, error) {
	switch f.outcome {
	case "", string(audit.Allowed), string(audit.Denied), string(audit.Failed):
	default:
		return "", fmt.Errorf("--outcome %q: write allowed, denied or failed", f.outcome)
	}
	if len(args) == 1 {
		return args[0], nil
	}
	path, err := config.LoadAuditPath(f.config, config.System(server.RPCs()))
	if err != nil {
		return "", err
	}
	if path == "" {
		return "", errNoAuditLog(f.config)
	}
	return path, nil
}

// tailPause is how long to wait until the file is looked at again.
const tailPause = 250 * time.Millisecond

// tail shows what is there, then, if asked to, what is to come: also after the
// file was moved away and another begun.
func (f *tailFlags) tail(ctx context.Context, path string, out io.Writer) error {
	file, err := openAuditLog(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	if info, err := file.Stat(); err == nil && info.Size() == 0 && !f.follow {
		return fmt.Errorf("%s is empty: an audit log has a line from its beginning on", path)
	}
	lines := bufio.NewReader(file)
	var newest [][]byte
	pending, err := f.read(lines, nil, func(text []byte) error {
		if newest = append(newest, text); len(newest) > f.lines {
			newest = newest[1:]
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, text := range newest {
		if err := f.show(out, text); err != nil {
			return err
		}
	}
	for f.follow && ctx.Err() == nil {
		if pending, err = f.read(lines, pending, func(text []byte) error { return f.show(out, text) }); err != nil {
			return err
		}
		if another, ok := openedAnew(path, file); ok {
			_ = file.Close()
			file, lines, pending = another, bufio.NewReader(another), nil
			continue
		}
		timer := time.NewTimer(tailPause)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
	return nil
}

// openedAnew opens the file at path if it is another one than before.
func openedAnew(path string, before *os.File) (*os.File, bool) {
	now, err := os.Stat(path)
	if err != nil {
		return nil, false // moved away, and none begun yet
	}
	was, err := before.Stat()
	if err != nil || os.SameFile(was, now) {
		return nil, false
	}
	another, err := os.Open(path)
	return another, err == nil
}

// read hands whole lines that match to show, and returns what there is of the next.
func (f *tailFlags) read(lines *bufio.Reader, pending []byte, show func([]byte) error) ([]byte, error) {
	for {
		text, err := lines.ReadBytes('\n')
		pending = append(pending, text...)
		if errors.Is(err, io.EOF) {
			return pending, nil
		}
		if err != nil {
			return nil, err
		}
		whole := pending
		pending = nil
		if f.matches(whole) {
			if err := show(whole); err != nil {
				return nil, err
			}
		}
	}
}

func (f *tailFlags) matches(text []byte) bool {
	line, err := audit.ParseLine(text[:len(text)-1])
	if err != nil {
		return true // shown as what it is
	}
	e := line.Entry
	if e == nil {
		return false
	}
	for _, pair := range [][2]string{{f.caller, e.Caller}, {f.subject, e.Subject}, {f.provider, e.Provider}, {f.rpc, e.RPC}, {f.outcome, string(e.Outcome)}} {
		if pair[0] != "" && pair[0] != pair[1] {
			return false
		}
	}
	return true
}

func (f *tailFlags) show(w io.Writer, text []byte) error {
	if f.json {
		_, err := w.Write(text)
		return err
	}
	line, err := audit.ParseLine(text[:len(text)-1])
	if err != nil {
		_, err := fmt.Fprintf(w, "%q %v\n", text[:len(text)-1], errNotAnEntry)
		return err
	}
	e := line.Entry
	words := []string{showTime(e.Time), printable(string(e.Outcome)), printable(e.RPC)}
	if e.Ended {
		words = append(words, "ended")
	}
	if e.Reason != "" {
		words = append(words, printable(e.Reason))
	}
	if e.Caller != "" {
		words = append(words, "by "+printable(e.Caller))
	}
	if e.Subject != "" || e.Provider != "" {
		words = append(words, "for "+printable(nameOf(e.Subject, e.Provider, e.Label).String()))
	}
	if e.Peer != "" {
		words = append(words, "from "+printable(e.Peer))
	}
	if e.Count > 1 {
		words = append(words, fmt.Sprintf("(and %d more)", e.Count-1))
	}
	_, err = fmt.Fprintln(w, strings.Join(words, "  "))
	return err
}

// printable quotes a text that would do more to a terminal than show itself: what a
// caller asked for and was refused is on record as it came.
func printable(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}

var errNotAnEntry = errors.New("(is not a line of an audit log)")
