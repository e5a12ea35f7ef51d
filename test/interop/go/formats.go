package main

import (
	"bytes"
	"encoding/hex"
	"fmt"

	"github.com/transparency-dev/formats/log"
	tlogproof "github.com/transparency-dev/formats/proof"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
)

// github.com/transparency-dev/formats: checkpoints and tlog-proofs as the witness and Tessera read them.
func checkFormats(f *fixture) {
	verifier := f.verifier()
	f.eachCheckpoint("parses the checkpoint", func(c checkpoint) error {
		parsed, rest, _, err := log.ParseCheckpoint(read(c.Note), f.Origin, verifier)
		if err == nil && (parsed.Size != uint64(c.Size) || len(rest) > 0) {
			err = fmt.Errorf("size %d, extension lines %q", parsed.Size, rest)
		}
		return err
	})
	refuses("a checkpoint under another key", func() error {
		_, _, _, err := log.ParseCheckpoint(read(f.newest().Note), f.Origin, must(note.NewVerifier(f.StrangerVKey)))
		return err
	})

	check("reads what `provlog proof` wrote, and what it proves holds", func() error {
		for _, p := range f.Proofs {
			if err := verifyTlogProof(p, read(p.Path), verifier, f.Origin); err != nil {
				return fmt.Errorf("entry %s: %w", p.Entry, err)
			}
		}
		return nil
	})
	refuses("a tlog-proof with one bit of its index changed", func() error {
		text := read(f.Proofs[0].Path)
		at := bytes.Index(text, []byte("index ")) + len("index ")
		return verifyTlogProof(f.Proofs[0], flipped(text, at), verifier, f.Origin)
	})
}

func verifyTlogProof(p tlogProof, text []byte, verifier note.Verifier, origin string) error {
	var parsed tlogproof.TLogProof
	if err := parsed.Unmarshal(text); err != nil {
		return err
	}
	if !bytes.Equal(parsed.Marshal(), text) {
		return fmt.Errorf("it would have been written otherwise:\n%s", parsed.Marshal())
	}
	head, _, _, err := log.ParseCheckpoint(parsed.Checkpoint, origin, verifier)
	if err != nil {
		return err
	}
	leaf := rfc6962.DefaultHasher.HashLeaf(must(hex.DecodeString(p.Entry)))
	var path [][]byte
	for _, hash := range parsed.Hashes {
		path = append(path, hash[:])
	}
	return proof.VerifyInclusion(rfc6962.DefaultHasher, parsed.Index, head.Size, leaf, path, head.Hash)
}
