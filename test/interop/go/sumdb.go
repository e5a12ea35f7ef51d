package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// The code with which the Go command checks the Go checksum database: notes, records and trees through tiles of height 8.
func checkSumdb(f *fixture) {
	verifiers := note.VerifierList(f.verifier())
	trees := make(map[int64]tlog.Tree)
	f.eachCheckpoint("opens the checkpoint with our vkey", func(c checkpoint) error {
		opened, err := note.Open(read(c.Note), verifiers)
		if err != nil {
			return err
		}
		tree, err := treeOf(opened.Text, f.Origin)
		if err == nil && tree.N != c.Size {
			err = fmt.Errorf("it is of size %d", tree.N)
		}
		trees[c.Size] = tree
		return err
	})
	f.eachCheckpoint("checks records through the tiles of the tree", func(c checkpoint) error {
		tree := trees[c.Size]
		hashes := tlog.TileHashReader(tree, tileReader{f.URL, nil})
		for _, e := range f.Entries {
			if e.Index >= tree.N {
				continue
			}
			proof, err := tlog.ProveRecord(tree.N, e.Index, hashes)
			if err != nil {
				return fmt.Errorf("record %d: %w", e.Index, err)
			}
			if err := tlog.CheckRecord(proof, tree.N, tree.Hash, e.Index, tlog.RecordHash(e.bytes())); err != nil {
				return fmt.Errorf("record %d: %w", e.Index, err)
			}
		}
		return nil
	})
	f.eachCheckpoint("checks that the tree extends every older one", func(c checkpoint) error {
		tree := trees[c.Size]
		hashes := tlog.TileHashReader(tree, tileReader{f.URL, nil})
		for size, old := range trees {
			if size >= tree.N {
				continue
			}
			proof, err := tlog.ProveTree(tree.N, old.N, hashes)
			if err != nil {
				return fmt.Errorf("tree %d: %w", old.N, err)
			}
			if err := tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash); err != nil {
				return fmt.Errorf("tree %d: %w", old.N, err)
			}
		}
		return nil
	})

	newest := f.newest()
	signed := read(newest.Note)
	refuses("a checkpoint under a key that did not sign it", func() error {
		_, err := note.Open(signed, note.VerifierList(must(note.NewVerifier(f.StrangerVKey))))
		return err
	})
	refuses("a checkpoint with one bit of its root changed", func() error {
		at := bytes.LastIndex(signed, []byte("\n\n")) - 10
		_, err := note.Open(flipped(signed, at), verifiers)
		return err
	})
	refuses("a tile with one bit changed", func() error {
		tree := trees[newest.Size]
		_, err := tlog.ProveRecord(tree.N, 1, tlog.TileHashReader(tree, tileReader{f.URL, func(tile []byte) { tile[40] ^= 1 }}))
		return err
	})
	refuses("the record of another entry", func() error {
		tree := trees[newest.Size]
		proof := must(tlog.ProveRecord(tree.N, 1, tlog.TileHashReader(tree, tileReader{f.URL, nil})))
		return tlog.CheckRecord(proof, tree.N, tree.Hash, 1, tlog.RecordHash([]byte("not this one")))
	})
}

// treeOf reads the three lines of a checkpoint. tlog.ParseTree knows the Go database's own first line only.
func treeOf(text, origin string) (tree tlog.Tree, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 || lines[0] != origin {
		return tree, fmt.Errorf("not a checkpoint of %s: %q", origin, text)
	}
	if tree.N, err = strconv.ParseInt(lines[1], 10, 64); err != nil {
		return tree, err
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return tree, fmt.Errorf("root %q: %v", lines[2], err)
	}
	tree.Hash = tlog.Hash(root)
	return tree, nil
}

// tileReader reads c2sp.org/tlog-tiles, whose paths are those of the Go database without the height.
type tileReader struct {
	url    string
	damage func(tile []byte)
}

func (r tileReader) Height() int { return 8 }

func (r tileReader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		body, err := get(r.url + "/tile/" + strings.TrimPrefix(tile.Path(), "tile/8/"))
		if err != nil {
			return nil, err
		}
		if r.damage != nil {
			r.damage(body)
		}
		all = append(all, body)
	}
	return all, nil
}

func (r tileReader) SaveTiles([]tlog.Tile, [][]byte) {}
