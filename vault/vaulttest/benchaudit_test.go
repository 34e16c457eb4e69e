package vaulttest_test

import (
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	tokenvaultv1 "github.com/tokenvault/tokenvault/proto/tokenvault/v1"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// BenchmarkAudit takes turns between a vault that keeps an audit log and two that
// do not, and are the same otherwise. ratio is the median of how their speeds
// compare: 1 would mean that the log costs nothing. cpu-ratio compares the processor
// time, which other processes disturb less. noise is the ratio of the two without a
// log: what it differs from 1 by, the others may be wrong by.
func BenchmarkAudit(b *testing.B) {
	for _, row := range []struct {
		name    string
		workers int
	}{{"one at a time", 1}, {"sixteen at once", 16}, {"sixty-four at once", 64}} {
		b.Run(row.name, func(b *testing.B) {
			var stacks [3]*vaulttest.Stack // the first keeps a log
			for i := range stacks {
				stacks[i] = vaulttest.New(b, vaulttest.Config{Audit: i == 0})
				stacks[i].Connect("alice", "mailchimp", vaulttest.Ada)
			}
			var ratios, cpuRatios, noises []float64
			for round := 0; b.Loop(); round++ {
				var times, cpuTimes [3]float64
				// There and back: what changes steadily meanwhile touches all the same.
				for _, turn := range []int{0, 1, 2, 2, 1, 0} {
					i := (turn + round) % len(stacks)
					took, cpu := timed(b, stacks[i].Client, row.workers)
					times[i] += took.Seconds()
					cpuTimes[i] += cpu.Seconds()
				}
				ratios = append(ratios, (times[1]+times[2])/2/times[0])
				cpuRatios = append(cpuRatios, (cpuTimes[1]+cpuTimes[2])/2/cpuTimes[0])
				noises = append(noises, times[1]/times[2])
			}
			b.ReportMetric(0, "ns/op") // of all three: says nothing
			b.ReportMetric(median(ratios), "ratio")
			b.ReportMetric(median(cpuRatios), "cpu-ratio")
			b.ReportMetric(median(noises), "noise")
		})
	}
}

// timed makes a few calls from several workers: few, so that the turns are close
// together. It returns what time they took, and how much of the processor's.
func timed(b *testing.B, client tokenvaultv1.VaultServiceClient, workers int) (took, cpu time.Duration) {
	b.Helper()
	req := &tokenvaultv1.GetCredentialsRequest{Subject: "alice", Provider: "mailchimp"}
	began, before := time.Now(), processTime(b)
	var group errgroup.Group
	for range workers {
		group.Go(func() error {
			for range max(100/workers, 6) {
				if _, err := client.GetCredentials(b.Context(), req); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	return time.Since(began), processTime(b) - before
}
