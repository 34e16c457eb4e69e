package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
)

// probePatience is how long an address is looked at after a call has failed.
const probePatience = 3 * time.Second

// diagnose tells an address at which nobody listens from one at which something
// else does.
func (f *clientFlags) diagnose(ctx context.Context, target string, transport credentials.TransportCredentials, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probePatience)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", target)
	if err != nil {
		return fmt.Errorf("no vault answers at %s: start one with `tokenvault serve` or `tokenvault dev`, or say with --addr where it is", f.addr)
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok && conn.SetDeadline(deadline) == nil && speaksHTTP1(conn, target) {
		return fmt.Errorf("what answers at %s speaks HTTP/1.1: --addr is the vault's address for gRPC, listen.grpc in its configuration", f.addr)
	}
	said := status.Convert(cause).Message()
	if transport.Info().SecurityProtocol == "tls" {
		return fmt.Errorf("something answers at %s, but not a vault with TLS, which every address but loopback needs: %s", f.addr, said)
	}
	return fmt.Errorf("something answers at %s, but not a vault without TLS, as it is on loopback: %s", f.addr, said)
}

// speaksHTTP1 asks as a browser would. A gRPC server hangs up.
func speaksHTTP1(conn net.Conn, host string) bool {
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n"); err != nil {
		return false
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	return err == nil && strings.HasPrefix(line, "HTTP/1.")
}
