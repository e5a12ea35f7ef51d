package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/url"

	"github.com/transparency-dev/tessera/client"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A log that changes its keys: for a while both sign, and whoever pins either of them can follow.
func checkRotation(f *fixture) {
	oldKey, newKey := f.verifier(), must(note.NewVerifier(f.NewVKey))
	opens := func(signed []byte, signatures int, keys ...note.Verifier) error {
		opened, err := note.Open(signed, note.VerifierList(keys...))
		if err == nil && len(opened.Sigs) != signatures {
			err = fmt.Errorf("%d signatures verify", len(opened.Sigs))
		}
		return err
	}
	before, between, after := read(f.Before.Note), read(f.Between.Note), read(f.After.Note)

	check("sumdb/note opens the checkpoint of two signatures with the old key", func() error { return opens(between, 1, oldKey) })
	check("sumdb/note opens the checkpoint of two signatures with the new key", func() error { return opens(between, 1, newKey) })
	check("sumdb/note finds both signatures good", func() error { return opens(between, 2, oldKey, newKey) })
	check("sumdb/note opens the last checkpoint with the new key", func() error { return opens(after, 1, newKey) })
	refuses("what is signed by the new key, for the old", func() error { return opens(after, 1, oldKey) })
	refuses("what is signed by the old key, for the new", func() error { return opens(before, 1, newKey) })

	check("sumdb/tlog checks that the trees extend each other across the change", func() error {
		trees := make([]tlog.Tree, 3)
		for i, signed := range [][]byte{before, between, after} {
			opened, err := note.Open(signed, note.VerifierList(oldKey, newKey))
			if err != nil {
				return err
			}
			if trees[i], err = treeOf(opened.Text, f.Origin); err != nil {
				return err
			}
		}
		last := trees[2]
		hashes := tlog.TileHashReader(last, tileReader{f.URL, nil})
		for _, old := range trees[:2] {
			if err := tlog.CheckTree(must(tlog.ProveTree(last.N, old.N, hashes)), last.N, last.Hash, old.N, old.Hash); err != nil {
				return fmt.Errorf("from %d to %d: %w", old.N, last.N, err)
			}
		}
		return nil
	})

	ctx := context.Background()
	fetcher := must(client.NewHTTPFetcher(must(url.Parse(f.URL+"/")), web))
	follow := func(from []byte, latest client.CheckpointFetcherFunc, key note.Verifier) error {
		consensus := client.UnilateralConsensus(latest)
		tracker, err := client.NewLogStateTracker(ctx, fetcher.ReadTile, from, key, f.Origin, consensus)
		if err == nil {
			_, _, _, err = tracker.Update(ctx)
		}
		return err
	}
	check("tessera follows with the old key to where both sign, and from there with the new key to now", func() error {
		meeting := func(context.Context) ([]byte, error) { return between, nil }
		if err := follow(before, meeting, oldKey); err != nil {
			return err
		}
		return follow(between, fetcher.ReadCheckpoint, newKey)
	})

	entry := must(hex.DecodeString(f.Entry))
	check("go-cose verifies receipts of every stage, each under the key that its kid names", func() error {
		for _, s := range []stage{f.Before, f.Between, f.After} {
			if err := verifyReceipt(read(s.Receipt), entry, s.ReceiptKey); err != nil {
				return fmt.Errorf("%s: %w", s.Receipt, err)
			}
		}
		return nil
	})
	refuses("a new receipt under the old receipt key", func() error {
		return verifyReceipt(read(f.After.Receipt), entry, f.Before.ReceiptKey)
	})
}
