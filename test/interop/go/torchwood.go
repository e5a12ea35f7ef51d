package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// filippo.io/torchwood: what litewitness and Sunlight's monitors read logs with.
func checkTorchwood(f *fixture) {
	ctx := context.Background()
	policyOf := func(v note.Verifier) torchwood.Policy {
		return torchwood.ThresholdPolicy(2, torchwood.OriginPolicy(f.Origin), torchwood.SingleVerifierPolicy(v))
	}
	policy := policyOf(f.verifier())
	newest := f.newest()

	f.eachCheckpoint("verifies the checkpoint under a policy of origin and key", func(c checkpoint) error {
		parsed, _, err := torchwood.VerifyCheckpoint(read(c.Note), policy)
		if err == nil && parsed.N != c.Size {
			err = fmt.Errorf("it is of size %d", parsed.N)
		}
		return err
	})

	fetcher := must(torchwood.NewTileFetcher(f.URL, torchwood.WithHTTPClient(web)))
	reader := must(torchwood.NewClient(fetcher))
	f.eachCheckpoint("fetches entries with their proofs", func(c checkpoint) error {
		parsed, _, err := torchwood.VerifyCheckpoint(read(c.Note), policy)
		if err != nil {
			return err
		}
		for _, e := range f.Entries {
			if e.Index >= parsed.N {
				continue
			}
			found, _, err := reader.Entry(ctx, parsed.Tree, e.Index)
			if err != nil {
				return err
			}
			if !bytes.Equal(found, e.bytes()) {
				return fmt.Errorf("entry %d is %x", e.Index, found)
			}
		}
		return nil
	})
	check("reads all entries, each checked against the tree", func() error {
		parsed, _, err := torchwood.VerifyCheckpoint(read(newest.Note), policy)
		if err != nil {
			return err
		}
		var count int64
		for range reader.AllEntries(ctx, parsed.Tree, 0) {
			count++
		}
		if err := reader.Err(); err != nil {
			return err
		}
		if count != parsed.N {
			return fmt.Errorf("%d of %d", count, parsed.N)
		}
		return nil
	})
	check("verifies what `provlog proof` wrote", func() error {
		for _, p := range f.Proofs {
			if err := torchwood.VerifyProof(policy, tlog.RecordHash(must(hex.DecodeString(p.Entry))), read(p.Path)); err != nil {
				return fmt.Errorf("entry %s: %w", p.Entry, err)
			}
		}
		return nil
	})

	refuses("a checkpoint under another key", func() error {
		_, _, err := torchwood.VerifyCheckpoint(read(newest.Note), policyOf(must(note.NewVerifier(f.StrangerVKey))))
		return err
	})
	refuses("a tlog-proof for another entry", func() error {
		return torchwood.VerifyProof(policy, tlog.RecordHash([]byte("not this one")), read(f.Proofs[0].Path))
	})
}
