// Command interop runs independent Go implementations of the C2SP and COSE specifications against a running provlog.
//
//	interop FIXTURE.json [part...]
//
// Each check is one line of JSON on stdout: {"check", "ok", "detail"}. What decides is never code of provlog: the log is read over
// HTTPS, and the fixture names files and keys, nothing that was verified before.
package main

import (
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"
)

type fixture struct {
	URL    string `json:"url"`
	Origin string `json:"origin"`
	VKey   string `json:"vkey"`
	// A key of the same name that never signed anything.
	StrangerVKey string       `json:"strangerVkey"`
	ReceiptKey   string       `json:"receiptKey"`
	Checkpoints  []checkpoint `json:"checkpoints"`
	// Signed by the log's key, of a size that it has another checkpoint of.
	Forged  string  `json:"forged"`
	Entries []entry `json:"entries"`
	// Statements that the log will take, by program.
	Spares map[string][]string `json:"spares"`
	// Written by `provlog proof`.
	Proofs []tlogProof `json:"proofs"`
	// As the log serves them, from older sizes to its newest.
	Consistency []consistency `json:"consistency"`
	// A receipt key that is not the log's.
	StrangerKey string `json:"strangerKey"`

	// Only for the part "rotation": the key that takes over, an entry, and what was signed about it.
	NewVKey string `json:"newVkey"`
	Entry   string `json:"entry"`
	Before  stage  `json:"before"`
	Between stage  `json:"between"`
	After   stage  `json:"after"`

	// Only for the parts "spiffe" and "spiffe-server".
	Door door `json:"door"`
}

type consistency struct {
	From    int64  `json:"from"`
	To      int64  `json:"to"`
	Receipt string `json:"receipt"`
}

type stage struct {
	Note       string `json:"note"`
	Receipt    string `json:"receipt"`
	ReceiptKey string `json:"receiptKey"`
}

type checkpoint struct {
	Size int64  `json:"size"`
	Note string `json:"note"`
}

type entry struct {
	Index     int64  `json:"index"`
	Entry     string `json:"entry"`
	Algorithm string `json:"algorithm"`
	Statement string `json:"statement"`
	Receipt   string `json:"receipt"`
	PublicKey string `json:"publicKey"`
}

type tlogProof struct {
	Entry string `json:"entry"`
	Path  string `json:"path"`
}

func (e entry) bytes() []byte { return must(hex.DecodeString(e.Entry)) }

var parts = []struct {
	name string
	run  func(*fixture)
}{
	{"sumdb", checkSumdb},
	{"tessera", checkTessera},
	{"torchwood", checkTorchwood},
	{"formats", checkFormats},
	{"merkle", checkMerkle},
	{"go-cose", checkCose},
	{"rotation", checkRotation},
	{"spiffe", checkSpiffe},
	{"spiffe-server", serveSpiffe},
}

// Parts that are about another fixture, and run when they are named.
var named = []string{"rotation", "spiffe", "spiffe-server"}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: interop FIXTURE.json [part...]")
		os.Exit(2)
	}
	var f fixture
	if err := json.Unmarshal(read(os.Args[1]), &f); err != nil {
		panic(err)
	}
	for _, part := range parts {
		if len(os.Args) == 2 && !slices.Contains(named, part.name) || slices.Contains(os.Args[2:], part.name) {
			current = part.name
			part.run(&f)
		}
	}
}

var current string

// check runs one check and says what became of it.
func check(name string, run func() error) {
	line := map[string]any{"check": current + ": " + name, "ok": true}
	if err := guarded(run); err != nil {
		line["ok"], line["detail"] = false, err.Error()
	}
	fmt.Println(string(must(json.Marshal(line))))
}

// refuses is a check of something that must be refused.
func refuses(name string, run func() error) {
	check("refuses "+name, func() error {
		if err := guarded(run); err == nil {
			return errors.New("it was accepted")
		} else if panicked := (panicError{}); errors.As(err, &panicked) {
			return err
		}
		return nil
	})
}

// eachCheckpoint is a check of every checkpoint of the fixture, which differ in what tiles their trees are made of.
func (f *fixture) eachCheckpoint(name string, run func(checkpoint) error) {
	check(fmt.Sprintf("%s (%d sizes, %d to %d)", name, len(f.Checkpoints), f.Checkpoints[0].Size, f.newest().Size), func() error {
		for _, c := range f.Checkpoints {
			if err := guarded(func() error { return run(c) }); err != nil {
				return fmt.Errorf("size %d: %w", c.Size, err)
			}
		}
		return nil
	})
}

// eachEntry is a check of every entry of the fixture that was signed with one algorithm.
func (f *fixture) eachEntry(name string, run func(entry) error) {
	for _, algorithm := range []string{"ES256", "Ed25519"} {
		count := 0
		check(name+", signed with "+algorithm, func() error {
			for _, e := range f.Entries {
				if e.Algorithm != algorithm {
					continue
				}
				count++
				if err := guarded(func() error { return run(e) }); err != nil {
					return fmt.Errorf("entry %d: %w", e.Index, err)
				}
			}
			if count == 0 {
				return errors.New("there is none")
			}
			return nil
		})
	}
}

type panicError struct{ value any }

func (p panicError) Error() string { return fmt.Sprint("panic: ", p.value) }

// guarded turns a panic into an error: one peer's bug does not take the other checks with it.
func guarded(run func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = panicError{value}
		}
	}()
	return run()
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func read(path string) []byte { return must(os.ReadFile(path)) }

func (f *fixture) verifier() note.Verifier { return must(note.NewVerifier(f.VKey)) }

// newest is the largest checkpoint of the fixture; the log may have grown since.
func (f *fixture) newest() checkpoint {
	return slices.MaxFunc(f.Checkpoints, func(a, b checkpoint) int { return int(a.Size - b.Size) })
}

var web = &http.Client{Timeout: 20 * time.Second}

func get(url string) ([]byte, error) {
	response, err := web.Get(url)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, response.Status)
	}
	return body, err
}

func publicKey(path string) any {
	block, _ := pem.Decode(read(path))
	return must(x509.ParsePKIXPublicKey(block.Bytes))
}

func flipped(bytes []byte, at int) []byte {
	changed := slices.Clone(bytes)
	changed[at] ^= 1
	return changed
}
