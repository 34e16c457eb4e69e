package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/tokenvault/tokenvault/cmd/tokenvault/internal/config"
	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault"
	"github.com/tokenvault/tokenvault/vault/audit"
	"github.com/tokenvault/tokenvault/vault/server"
	"github.com/tokenvault/tokenvault/vault/store/boltstore"
)

func newAudit() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "audit",
		GroupID: "prepare",
		Short:   "Read the record of who did what, and verify it",
		Args:    subcommands,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newAuditVerify(), newAuditTail())
	return cmd
}

func newAuditVerify() *cobra.Command {
	var client clientFlags
	var path string
	cmd := &cobra.Command{
		Use:   "verify [OLDER_FILE...]",
		Short: "Find lines that are not as they were written",
		Long: `Finds every line of the audit log that was changed, left out, moved, added or cut off
since it was written. Ends with exit status 1 when there is one.

A running vault verifies its own log when it is asked. With --config the files are
read here, with the vault stopped or on a restored copy: those that were moved away
first, in their order, then the one of the configuration.`,
		Example: "  tokenvault audit verify\n  tokenvault audit verify --config tokenvault.yaml audit.jsonl.1",
		RunE: func(cmd *cobra.Command, args []string) error {
			report, err := auditReport{}, error(nil)
			switch {
			case path != "":
				report, err = verifyHere(cmd.Context(), path, args)
			case len(args) > 0:
				return errors.New("files are read with --config, which says where the vault's key is: tokenvault audit verify --config tokenvault.yaml OLDER_FILE")
			default:
				report, err = verifyThere(cmd.Context(), &client)
			}
			if err != nil {
				return err
			}
			return report.print(cmd.OutOrStdout(), client.json)
		},
	}
	cmd.Flags().StringVar(&path, "config", "", "read the files here, by this configuration `file`")
	client.add(cmd)
	return cmd
}

// auditReport is what a verification has found.
type auditReport struct {
	Entries  int64    `json:"entries"`
	First    uint64   `json:"first_sequence"`
	Last     uint64   `json:"last_sequence"`
	Problems []string `json:"problems"`
}

func (r auditReport) print(w io.Writer, asJSON bool) error {
	if asJSON {
		if r.Problems == nil {
			r.Problems = []string{}
		}
		if err := json.NewEncoder(w).Encode(r); err != nil {
			return err
		}
	} else {
		for _, problem := range r.Problems {
			fmt.Fprintln(w, problem)
		}
	}
	if n := len(r.Problems); n > 0 {
		return fmt.Errorf("the audit log is not as it was written: problems found: %d", n)
	}
	if asJSON {
		return nil
	}
	_, err := fmt.Fprintf(w, "The audit log is as it was written: %d entries, lines %d to %d.\n", r.Entries, r.First, r.Last)
	return err
}

func verifyThere(ctx context.Context, client *clientFlags) (auditReport, error) {
	var report auditReport
	err := client.callAdmin(ctx, func(ctx context.Context, c tokenvaultv1.AdminServiceClient) error {
		resp, err := c.VerifyAudit(ctx, &tokenvaultv1.VerifyAuditRequest{})
		report = auditReport{Entries: resp.GetEntries(), First: resp.GetFirstSequence(), Last: resp.GetLastSequence(), Problems: resp.GetProblems()}
		return err
	})
	return report, err
}

func verifyHere(ctx context.Context, path string, older []string) (report auditReport, err error) {
	c, err := config.LoadAudit(path, config.System(server.RPCs()))
	if err != nil {
		return report, err
	}
	if c.AuditPath == "" {
		return report, errNoAuditLog(path)
	}
	db, err := boltstore.OpenReadOnly(c.BoltPath)
	if errors.Is(err, boltstore.ErrInUse) {
		return report, fmt.Errorf("%w (a running vault verifies its own log: leave --config out)", err)
	}
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	keys, err := vault.LoadKeyring(ctx, db, c.MasterKey)
	if err != nil {
		return report, errNotOpened(c, err)
	}
	keeper, key, err := vault.NewAuditKeeper(db, keys)
	if err != nil {
		return report, err
	}
	head, err := keeper.LoadHead(ctx)
	if err != nil {
		return report, err
	}
	paths := append(older, c.AuditPath)
	if journal := audit.JournalPath(c.AuditPath); !isMissing(journal) {
		paths = append(paths, journal) // it holds lines where the vault was killed
	}
	found, err := verifyFiles(key, head, paths)
	if err != nil {
		return report, err
	}
	report = auditReport{Entries: int64(found.Entries), First: found.First, Last: found.Last.Sequence}
	for _, problem := range found.Problems {
		report.Problems = append(report.Problems, problem.String())
	}
	return report, nil
}

func verifyFiles(key audit.Key, head audit.Head, paths []string) (audit.Report, error) {
	var files []audit.File
	for _, path := range paths {
		file, err := openAuditLog(path)
		if err != nil {
			return audit.Report{}, err
		}
		defer file.Close()
		files = append(files, audit.File{Name: path, Reader: file})
	}
	return audit.Verify(key, head, files...)
}

// openAuditLog opens a file of the log for reading.
func openAuditLog(path string) (*os.File, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no %s: an audit log begins when a vault starts with audit.path set", path)
	case err == nil && info.IsDir():
		return nil, fmt.Errorf("%s is a folder: name the file that the audit log is", path)
	}
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("this user may not read %s: run as the vault's user", path)
	}
	return file, err
}

// isMissing reports whether there is no such file, as with the journal of a log that
// was written by a vault that kept none.
func isMissing(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist)
}

func errNoAuditLog(path string) error {
	return fmt.Errorf("%s keeps no audit log: set audit.path", path)
}
