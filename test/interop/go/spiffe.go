package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

// What the parts "spiffe" and "spiffe-server" are given: a log behind its door, and who may come in.
type door struct {
	// Who the log is, by its certificate, and the bundle of that trust domain.
	ServerID     string `json:"serverId"`
	ServerBundle string `json:"serverBundle"`
	// Who comes, each with a statement that it may register.
	Peers []peer `json:"peers"`
	// Who is none of ours.
	Stranger peer `json:"stranger"`
	// Of the part "spiffe-server": who it is, by whose bundle it judges, and whom it lets in.
	Server  peer   `json:"server"`
	Bundle  string `json:"bundle"`
	Allowed string `json:"allowed"`
}

type peer struct {
	Name      string `json:"name"`
	ID        string `json:"id"`
	Cert      string `json:"cert"`
	Key       string `json:"key"`
	Statement string `json:"statement"`
}

func (p peer) svid() *x509svid.SVID {
	svid := must(x509svid.Load(p.Cert, p.Key))
	if svid.ID.String() != p.ID {
		panic(fmt.Sprintf("%s is the certificate of %s", p.Cert, svid.ID))
	}
	return svid
}

// loadBundle reads the two forms in which authorities hand out their anchors.
func loadBundle(trustDomain spiffeid.TrustDomain, path string) x509bundle.Source {
	if strings.HasPrefix(strings.TrimSpace(string(read(path))), "{") {
		return must(spiffebundle.Load(trustDomain, path))
	}
	return must(x509bundle.Load(trustDomain, path))
}

func (f *fixture) clientAs(p peer, expected string) *http.Client {
	server := must(spiffeid.FromString(f.Door.ServerID))
	bundle := loadBundle(server.TrustDomain(), f.Door.ServerBundle)
	authorizer := tlsconfig.AuthorizeID(must(spiffeid.FromString(expected)))
	config := tlsconfig.MTLSClientConfig(p.svid(), bundle, authorizer)
	return &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{TLSClientConfig: config}}
}

func statusOf(response *http.Response, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

func wants(status int, err error, wanted ...int) error {
	if err != nil {
		return err
	}
	for _, each := range wanted {
		if status == each {
			return nil
		}
	}
	return fmt.Errorf("status %d", status)
}

// checkSpiffe is go-spiffe as a client of the log: it judges the log's certificate by identifier, and shows its own.
func checkSpiffe(f *fixture) {
	for _, p := range f.Door.Peers {
		check(p.Name+" authenticates the log by its identifier, and reads", func() error {
			status, err := statusOf(f.clientAs(p, f.Door.ServerID).Get(f.URL + "/checkpoint"))
			return wants(status, err, http.StatusOK)
		})
		check(p.Name+" appends", func() error {
			body := bytes.NewReader(read(p.Statement))
			status, err := statusOf(f.clientAs(p, f.Door.ServerID).Post(f.URL+"/entries", "application/cose", body))
			return wants(status, err, http.StatusCreated)
		})
	}
	refuses("the log under another identifier of its trust domain", func() error {
		_, err := statusOf(f.clientAs(f.Door.Peers[0], f.Door.ServerID+"/other").Get(f.URL + "/checkpoint"))
		return err
	})
	check("a certificate by an authority of another trust domain than it names is refused", func() error {
		status, err := statusOf(f.clientAs(f.Door.Stranger, f.Door.ServerID).Get(f.URL + "/checkpoint"))
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return nil
		}
		return wants(status, err, http.StatusForbidden, http.StatusBadRequest)
	})
}

// serveSpiffe is go-spiffe as a server, until it is killed: it says whom it saw. Its address is its first line.
func serveSpiffe(f *fixture) {
	allowed := must(spiffeid.FromString(f.Door.Allowed))
	bundle := loadBundle(allowed.TrustDomain(), f.Door.Bundle)
	config := tlsconfig.MTLSServerConfig(f.Door.Server.svid(), bundle, tlsconfig.AuthorizeID(allowed))
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	fmt.Println(string(must(json.Marshal(map[string]string{"url": "https://" + listener.Addr().String()}))))
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := must(x509svid.IDFromCert(r.TLS.PeerCertificates[0]))
		_, _ = fmt.Fprint(w, id)
	})
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	fmt.Fprintln(os.Stderr, server.Serve(tls.NewListener(listener, config)))
}
