package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
)

// Tessera's client library, which follows any log that serves c2sp.org/tlog-tiles.
func checkTessera(f *fixture) {
	ctx := context.Background()
	base := must(url.Parse(f.URL + "/"))
	fetcher := must(client.NewHTTPFetcher(base, web))
	verifier := f.verifier()
	follow := func(from []byte) (*client.LogStateTracker, error) {
		consensus := client.UnilateralConsensus(fetcher.ReadCheckpoint)
		return client.NewLogStateTracker(ctx, fetcher.ReadTile, from, verifier, f.Origin, consensus)
	}

	f.eachCheckpoint("follows the log from an older checkpoint to now", func(c checkpoint) error {
		tracker, err := follow(read(c.Note))
		if err != nil {
			return err
		}
		_, _, _, err = tracker.Update(ctx)
		return err
	})
	check(fmt.Sprintf("follows the log while it grows by %d statements", len(f.Spares["go"])), func() error {
		tracker, err := follow(nil)
		if err != nil {
			return err
		}
		for _, path := range f.Spares["go"] {
			before := tracker.Latest().Size
			response, err := web.Post(f.URL+"/entries", "application/cose", bytes.NewReader(read(path)))
			if err != nil {
				return err
			}
			response.Body.Close()
			if response.StatusCode != http.StatusCreated {
				return fmt.Errorf("POST /entries: %s", response.Status)
			}
			if _, _, _, err := tracker.Update(ctx); err != nil {
				return err
			}
			if tracker.Latest().Size <= before {
				return fmt.Errorf("after a receipt the checkpoint is still of %d", before)
			}
		}
		return nil
	})

	newest, _, _, err := client.FetchCheckpoint(ctx, fetcher.ReadCheckpoint, verifier, f.Origin)
	if err != nil {
		check("fetches the checkpoint", func() error { return err })
		return
	}
	check("proves entries from tiles", func() error {
		builder, err := client.NewProofBuilder(ctx, newest.Size, fetcher.ReadTile)
		if err != nil {
			return err
		}
		for _, e := range f.Entries {
			path, err := builder.InclusionProof(ctx, uint64(e.Index))
			if err != nil {
				return err
			}
			leaf := rfc6962.DefaultHasher.HashLeaf(e.bytes())
			if err := proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(e.Index), newest.Size, leaf, path, newest.Hash); err != nil {
				return fmt.Errorf("entry %d: %w", e.Index, err)
			}
		}
		return nil
	})
	check("reads every entry as a stream, and the root is that of the checkpoint", func() error {
		tree := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
		size := func(context.Context) (uint64, error) { return newest.Size, nil }
		bundles := client.EntryBundles(ctx, 2, size, fetcher.ReadEntryBundle, 0, newest.Size)
		for e, err := range client.Entries(bundles, unbundle) {
			if err != nil {
				return err
			}
			if err := tree.Append(rfc6962.DefaultHasher.HashLeaf(e.Entry), nil); err != nil {
				return err
			}
		}
		root, err := tree.GetRootHash(nil)
		if err != nil {
			return err
		}
		if !bytes.Equal(root, newest.Hash) {
			return fmt.Errorf("%d entries hash to %x", tree.End(), root)
		}
		return nil
	})
	check("sees a log that signed two trees of one size, and keeps both as evidence", func() error {
		tracker, err := follow(read(f.Forged))
		if err != nil {
			return err
		}
		_, _, _, err = tracker.Update(ctx)
		if evidence := (client.ErrInconsistency{}); !errors.As(err, &evidence) {
			return fmt.Errorf("it said: %v", err)
		}
		return nil
	})
}

func unbundle(data []byte) ([][]byte, error) {
	var bundle api.EntryBundle
	err := bundle.UnmarshalText(data)
	return bundle.Entries, err
}
