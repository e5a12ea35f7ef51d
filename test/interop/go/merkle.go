package main

import (
	"encoding/json"
	"fmt"

	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

// github.com/transparency-dev/merkle: the proofs that the log computes itself, for those who do not read tiles.
func checkMerkle(f *fixture) {
	heads := make(map[int64]*log.Checkpoint)
	f.eachCheckpoint("verifies /v1/proof/inclusion", func(c checkpoint) error {
		head, _, _, err := log.ParseCheckpoint(read(c.Note), f.Origin, f.verifier())
		if err != nil {
			return err
		}
		heads[c.Size] = head
		for _, e := range f.Entries {
			if e.Index >= c.Size {
				continue
			}
			if err := inclusion(f, e, head, e.bytes()); err != nil {
				return fmt.Errorf("entry %d: %w", e.Index, err)
			}
		}
		return nil
	})
	f.eachCheckpoint("verifies /v1/proof/consistency from every older size", func(c checkpoint) error {
		head := heads[c.Size]
		for size, old := range heads {
			if size >= c.Size {
				continue
			}
			path, err := proofAt(fmt.Sprintf("%s/v1/proof/consistency/%d/%d", f.URL, size, c.Size))
			if err != nil {
				return err
			}
			if err := proof.VerifyConsistency(rfc6962.DefaultHasher, old.Size, head.Size, path, old.Hash, head.Hash); err != nil {
				return fmt.Errorf("from %d: %w", size, err)
			}
		}
		return nil
	})
	refuses("a proof for another entry", func() error {
		return inclusion(f, f.Entries[0], heads[f.newest().Size], []byte("not this one"))
	})
}

func inclusion(f *fixture, e entry, head *log.Checkpoint, claimed []byte) error {
	path, err := proofAt(fmt.Sprintf("%s/v1/proof/inclusion/%d/%d", f.URL, e.Index, head.Size))
	if err != nil {
		return err
	}
	leaf := rfc6962.DefaultHasher.HashLeaf(claimed)
	return proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(e.Index), head.Size, leaf, path, head.Hash)
}

func proofAt(url string) ([][]byte, error) {
	body, err := get(url)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Proof [][]byte `json:"proof"`
	}
	err = json.Unmarshal(body, &answer)
	return answer.Proof, err
}
