package certs_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenvault/tokenvault/vault/certs"
	"github.com/tokenvault/tokenvault/vault/vaulttest"
)

// folder has the files of a server, and an authority for both sides.
type folder struct {
	*vaulttest.Authority
	t     *testing.T
	files certs.Files
}

func newFolder(t *testing.T) folder {
	t.Helper()
	dir := t.TempDir()
	f := folder{vaulttest.NewAuthority(t), t, certs.Files{
		Certificate: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key"), ClientAuthorities: filepath.Join(dir, "ca.crt"),
	}}
	f.writePair("first")
	f.writeAuthorities(f.Authority)
	return f
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// pair returns a new certificate for a name.
func (f folder) pair(name string) (certificate, key []byte) {
	f.t.Helper()
	return vaulttest.PEM(f.t, f.Server(f.t, vaulttest.ServerCert{DNSNames: []string{name}}))
}

func (f folder) writePair(name string) {
	f.t.Helper()
	certificate, key := f.pair(name)
	write(f.t, f.files.Certificate, certificate)
	write(f.t, f.files.Key, key)
}

func (f folder) writeAuthorities(all ...*vaulttest.Authority) {
	f.t.Helper()
	write(f.t, f.files.ClientAuthorities, bundle(f.t, all...))
}

func bundle(t *testing.T, all ...*vaulttest.Authority) []byte {
	t.Helper()
	var data []byte
	for _, a := range all {
		one, err := os.ReadFile(a.File)
		if err != nil {
			t.Fatal(err)
		}
		data = append(data, one...)
	}
	return data
}

// run opens the files and keeps them until the test ends. It is for a bubble.
func (f folder) run(log *bytes.Buffer) *certs.Keeper {
	f.t.Helper()
	keeper, err := certs.Open(f.files, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(f.t.Context())
	done := make(chan error)
	go func() { done <- keeper.Run(ctx) }()
	f.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			f.t.Error(err)
		}
	})
	return keeper
}

// pass lets the files be read again a few times.
func pass(times int) {
	for range times {
		time.Sleep(certs.Interval)
		synctest.Wait()
	}
}

// meet has a client and a server meet, and returns what the client knows of it once
// the server has answered.
func meet(t *testing.T, server, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	near, far := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn := tls.Server(far, server)
		defer conn.Close()
		_, _ = conn.Write([]byte("x"))
	}()
	client = client.Clone()
	client.ServerName, client.NextProtos = "localhost", []string{"h2"}
	conn := tls.Client(near, client)
	_, err := conn.Read(make([]byte, 1))
	near.Close()
	<-done
	return conn.ConnectionState(), err
}

// served returns the name that is served.
func (f folder) served(keeper *certs.Keeper) string {
	f.t.Helper()
	state, err := meet(f.t, keeper.ServerConfig("h2"), f.ClientConfig(nil))
	if err != nil {
		f.t.Fatal(err)
	}
	return state.PeerCertificates[0].DNSNames[1]
}

// taken says how a client fares that shows a certificate of an authority's.
func (f folder) taken(keeper *certs.Keeper, a *vaulttest.Authority) error {
	f.t.Helper()
	cert := a.Client(f.t, vaulttest.ClientCert{CommonName: "client"})
	_, err := meet(f.t, keeper.ServerConfigWithClients("h2"), f.ClientConfig(&cert))
	return err
}

func TestNewConnectionsGetTheNewCertificate(t *testing.T) {
	for _, row := range []struct {
		name    string
		replace func(f folder)
	}{
		{"written over", func(f folder) { f.writePair("second") }},
		{"in two steps", func(f folder) {
			certificate, key := f.pair("second")
			write(f.t, f.files.Certificate, certificate)
			pass(1) // they are no pair now
			write(f.t, f.files.Key, key)
		}},
		{"moved there with the times of the old ones", func(f folder) {
			info, err := os.Stat(f.files.Certificate)
			if err != nil {
				f.t.Fatal(err)
			}
			certificate, key := f.pair("second")
			for name, data := range map[string][]byte{f.files.Certificate: certificate, f.files.Key: key} {
				write(f.t, name+".new", data)
				if err := os.Chtimes(name+".new", info.ModTime(), info.ModTime()); err != nil {
					f.t.Fatal(err)
				}
				if err := os.Rename(name+".new", name); err != nil {
					f.t.Fatal(err)
				}
			}
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				f := newFolder(t)
				keeper := f.run(&log)
				if got := f.served(keeper); got != "first" {
					t.Fatalf("%s is served", got)
				}
				row.replace(f)
				pass(1)
				if got := f.served(keeper); got != "second" {
					t.Errorf("%s is served, want second", got)
				}
				if !strings.Contains(log.String(), "read anew") {
					t.Errorf("nothing of it in the log: %s", &log)
				}
			})
		})
	}
}

// A Kubernetes volume has links to ..data, which leads to a folder of its own for each
// version; that one link is replaced.
func TestAVolumeOfLinksIsSwapped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		f := newFolder(t)
		volume := t.TempDir()
		lay := func(version string) {
			dir := filepath.Join(volume, version)
			certificate, key := f.pair(version)
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, "tls.crt"), certificate)
			write(t, filepath.Join(dir, "tls.key"), key)
			if err := os.Symlink(version, filepath.Join(volume, "..data_tmp")); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(filepath.Join(volume, "..data_tmp"), filepath.Join(volume, "..data")); err != nil {
				t.Fatal(err)
			}
		}
		lay("first")
		for _, name := range []string{"tls.crt", "tls.key"} {
			if err := os.Symlink(filepath.Join("..data", name), filepath.Join(volume, name)); err != nil {
				t.Fatal(err)
			}
		}
		f.files.Certificate, f.files.Key = filepath.Join(volume, "tls.crt"), filepath.Join(volume, "tls.key")
		keeper := f.run(&log)
		lay("second")
		if err := os.RemoveAll(filepath.Join(volume, "first")); err != nil {
			t.Fatal(err)
		}
		pass(1)
		if got := f.served(keeper); got != "second" {
			t.Errorf("%s is served, want second; log:\n%s", got, &log)
		}
	})
}

func TestClientsOfAnAuthorityThatWasReplacedAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		f := newFolder(t)
		keeper := f.run(&log)
		other := vaulttest.NewAuthority(t)
		if err := f.taken(keeper, f.Authority); err != nil {
			t.Fatalf("the first authority's client: %v", err)
		}
		if err := f.taken(keeper, other); err == nil {
			t.Fatal("the other authority's client is let in before its time")
		}
		f.writeAuthorities(f.Authority, other)
		pass(1)
		for _, a := range []*vaulttest.Authority{f.Authority, other} {
			if err := f.taken(keeper, a); err != nil {
				t.Errorf("with both authorities: %v", err)
			}
		}
		f.writeAuthorities(other)
		pass(1)
		if err := f.taken(keeper, f.Authority); err == nil {
			t.Error("the first authority's client is let in after its authority went")
		}
		if err := f.taken(keeper, other); err != nil {
			t.Errorf("the other authority's client: %v", err)
		}
	})
}

func TestWhatIsNotWholeChangesNothing(t *testing.T) {
	half := func(data []byte) []byte { return data[:len(data)/2] }
	for _, row := range []struct {
		name  string
		spoil func(f folder)
	}{
		{"half a certificate", func(f folder) {
			certificate, key := f.pair("second")
			write(f.t, f.files.Key, key)
			write(f.t, f.files.Certificate, half(certificate))
		}},
		{"half a key", func(f folder) {
			certificate, key := f.pair("second")
			write(f.t, f.files.Certificate, certificate)
			write(f.t, f.files.Key, half(key))
		}},
		{"half a chain", func(f folder) {
			certificate, key := f.pair("second")
			write(f.t, f.files.Key, key)
			write(f.t, f.files.Certificate, append(certificate, half(bundle(f.t, f.Authority))...))
		}},
		{"another's key", func(f folder) {
			_, key := f.pair("second")
			write(f.t, f.files.Key, key)
		}},
		{"empty files", func(f folder) {
			write(f.t, f.files.Certificate, nil)
			write(f.t, f.files.Key, nil)
		}},
		{"no certificate", func(f folder) {
			if err := os.Remove(f.files.Certificate); err != nil {
				f.t.Fatal(err)
			}
		}},
		{"half an authority", func(f folder) {
			write(f.t, f.files.ClientAuthorities, half(bundle(f.t, f.Authority)))
		}},
		{"an authority and a half", func(f folder) {
			a, b := bundle(f.t, vaulttest.NewAuthority(f.t)), bundle(f.t, f.Authority)
			write(f.t, f.files.ClientAuthorities, append(a, half(b)...))
		}},
		{"a key among the authorities", func(f folder) {
			_, key := f.pair("second")
			write(f.t, f.files.ClientAuthorities, append(bundle(f.t, vaulttest.NewAuthority(f.t)), key...))
		}},
		{"no authorities", func(f folder) { write(f.t, f.files.ClientAuthorities, nil) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				f := newFolder(t)
				keeper := f.run(&log)
				row.spoil(f)
				pass(3)
				if got := f.served(keeper); got != "first" {
					t.Errorf("%s is served, want first", got)
				}
				if err := f.taken(keeper, f.Authority); err != nil {
					t.Errorf("a client: %v", err)
				}
				if n := strings.Count(log.String(), "level=WARN"); n != 1 || strings.Contains(log.String(), "BEGIN ") || strings.Contains(log.String(), "PRIVATE") {
					t.Errorf("%d warnings, want 1 without what the files hold:\n%s", n, &log)
				}
				f.writePair("second")
				f.writeAuthorities(f.Authority)
				pass(1)
				if got := f.served(keeper); got != "second" {
					t.Errorf("%s is served after the files are whole again, want second", got)
				}
			})
		})
	}
}

func TestNothingOpensWithoutWhatItNeeds(t *testing.T) {
	for _, row := range []struct {
		name, want string
		spoil      func(f *folder)
	}{
		{"no such certificate", "nowhere", func(f *folder) { f.files.Certificate = "nowhere" }},
		{"no such authorities", "nowhere", func(f *folder) { f.files.ClientAuthorities = "nowhere" }},
		{"another's key", "are no pair", func(f *folder) { _, key := f.pair("x"); write(f.t, f.files.Key, key) }},
		{"the two mixed up", "are no pair", func(f *folder) { f.files.Key, f.files.Certificate = f.files.Certificate, f.files.Key }},
		{"something else", "is not in PEM", func(f *folder) { write(f.t, f.files.Certificate, []byte("x")) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := newFolder(t)
			row.spoil(&f)
			if _, err := certs.Open(f.files, nil); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("error = %v, want one with %q", err, row.want)
			}
		})
	}
}

func TestASessionIsNotResumed(t *testing.T) {
	f := newFolder(t)
	keeper, err := certs.Open(f.files, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, server := range []*tls.Config{keeper.ServerConfig("h2"), keeper.ServerConfigWithClients("h2")} {
		client := f.ClientConfig(nil)
		client.ClientSessionCache = tls.NewLRUClientSessionCache(0)
		for range 2 {
			state, err := meet(t, server, client)
			if err != nil {
				t.Fatal(err)
			}
			if state.DidResume || state.NegotiatedProtocol != "h2" {
				t.Errorf("resumed: %v; protocol %q", state.DidResume, state.NegotiatedProtocol)
			}
		}
	}
}

func TestTLSBelow13IsRefused(t *testing.T) {
	f := newFolder(t)
	keeper, err := certs.Open(f.files, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := f.ClientConfig(nil)
	client.MinVersion, client.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	for _, server := range []*tls.Config{keeper.ServerConfig("h2"), keeper.ServerConfigWithClients("h2")} {
		if _, err := meet(t, server, client); err == nil || !strings.Contains(err.Error(), tls.AlertError(70).Error()) {
			t.Errorf("error = %v, want a version that is not supported", err)
		}
	}
}

func TestClientsAreAskedOnlyWhereThereAreAuthorities(t *testing.T) {
	f := newFolder(t)
	for _, row := range []struct {
		name        string
		authorities string
		config      func(*certs.Keeper) *tls.Config
		want        bool
	}{
		{"with authorities", f.files.ClientAuthorities, func(k *certs.Keeper) *tls.Config { return k.ServerConfigWithClients("h2") }, true},
		{"without", "", func(k *certs.Keeper) *tls.Config { return k.ServerConfigWithClients("h2") }, false},
		{"a listener for browsers", f.files.ClientAuthorities, func(k *certs.Keeper) *tls.Config { return k.ServerConfig("h2") }, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			files := f.files
			files.ClientAuthorities = row.authorities
			keeper, err := certs.Open(files, nil)
			if err != nil {
				t.Fatal(err)
			}
			asked := false
			client := f.ClientConfig(nil)
			client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				asked = true
				return new(tls.Certificate), nil
			}
			if _, err := meet(t, row.config(keeper), client); err != nil {
				t.Fatal(err)
			}
			if asked != row.want {
				t.Errorf("asked: %v, want %v", asked, row.want)
			}
		})
	}
}
