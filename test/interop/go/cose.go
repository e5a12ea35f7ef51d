package main

import (
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"
	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/veraison/go-cose"
)

// github.com/veraison/go-cose: statements and receipts as COSE_Sign1. What RFC 9942 adds to that is spelled out below, over
// transparency-dev/merkle, because no Go library of receipts is published.
func checkCose(f *fixture) {
	f.eachEntry("verifies statements", func(e entry) error { return verifyStatement(read(e.Statement), e) })
	f.eachEntry("verifies receipts of statements", func(e entry) error { return verifyReceipt(read(e.Receipt), e.bytes(), f.ReceiptKey) })
	roots := make(map[int64][]byte)
	for _, c := range f.Checkpoints {
		roots[c.Size] = checkpointRoot(f, c)
	}
	key, receipts := f.ReceiptKey, f.Consistency
	check(fmt.Sprintf("verifies receipts of consistency (%d sizes)", len(receipts)), func() error {
		for _, r := range receipts {
			if err := verifyConsistency(read(r.Receipt), roots[r.From], roots[r.To], key); err != nil {
				return fmt.Errorf("from %d to %d: %w", r.From, r.To, err)
			}
		}
		return nil
	})
	refuses("a receipt of consistency with another tree", func() error {
		return verifyConsistency(read(receipts[2].Receipt), roots[receipts[1].From], roots[receipts[2].To], key)
	})
	refuses("a receipt of consistency under another key", func() error {
		return verifyConsistency(read(receipts[2].Receipt), roots[receipts[2].From], roots[receipts[2].To], f.StrangerKey)
	})
	e := f.Entries[0]
	refuses("a statement with one bit of its payload changed", func() error {
		bytes := read(e.Statement)
		return verifyStatement(flipped(bytes, len(bytes)-100), e)
	})
	refuses("a receipt for another entry", func() error {
		return verifyReceipt(read(e.Receipt), []byte("not this one"), f.ReceiptKey)
	})
}

func checkpointRoot(f *fixture, c checkpoint) []byte {
	head, _, _, err := log.ParseCheckpoint(read(c.Note), f.Origin, f.verifier())
	return must(head, err).Hash
}

func verifyStatement(bytes []byte, e entry) error {
	var message cose.Sign1Message
	if err := message.UnmarshalCBOR(bytes); err != nil {
		return err
	}
	algorithm, err := message.Headers.Protected.Algorithm()
	if err != nil {
		return err
	}
	return message.Verify(nil, must(cose.NewVerifier(algorithm, publicKey(e.PublicKey))))
}

const (
	labelVDS         = int64(395)
	labelVDP         = int64(396)
	inclusionProof   = int64(-1)
	consistencyProof = int64(-2)
)

// verifyReceipt is RFC 9942 §5.2: the root that the proof implies for the entry is the detached payload of the signature.
func verifyReceipt(bytes, entry []byte, key string) error {
	return eachProof(bytes, inclusionProof, key, func(encoded []byte) ([]byte, error) {
		var p struct {
			_     struct{} `cbor:",toarray"`
			Size  uint64
			Index uint64
			Path  [][]byte
		}
		if err := cbor.Unmarshal(encoded, &p); err != nil {
			return nil, err
		}
		leaf := rfc6962.DefaultHasher.HashLeaf(entry)
		return proof.RootFromInclusionProof(rfc6962.DefaultHasher, p.Index, p.Size, leaf, p.Path)
	})
}

// verifyConsistency is RFC 9942 §5.3: the newer root, which the proof must lead to from the older one, is the detached payload.
func verifyConsistency(bytes, older, newer []byte, key string) error {
	return eachProof(bytes, consistencyProof, key, func(encoded []byte) ([]byte, error) {
		var p struct {
			_     struct{} `cbor:",toarray"`
			Size1 uint64
			Size2 uint64
			Path  [][]byte
		}
		if err := cbor.Unmarshal(encoded, &p); err != nil {
			return nil, err
		}
		return newer, proof.VerifyConsistency(rfc6962.DefaultHasher, p.Size1, p.Size2, p.Path, older, newer)
	})
}

// eachProof verifies the signature over the root that each proof of one kind in a receipt implies.
func eachProof(bytes []byte, kind int64, key string, rootOf func(encoded []byte) ([]byte, error)) error {
	var message cose.Sign1Message
	if err := message.UnmarshalCBOR(bytes); err != nil {
		return err
	}
	if message.Headers.Protected[labelVDS] != int64(1) {
		return fmt.Errorf("vds %v", message.Headers.Protected[labelVDS])
	}
	if message.Payload != nil {
		return errors.New("the payload is attached")
	}
	proofs, _ := message.Headers.Unprotected[labelVDP].(map[any]any)
	ofKind, _ := proofs[kind].([]any)
	if len(ofKind) == 0 {
		return fmt.Errorf("no proof of kind %d in %v", kind, message.Headers.Unprotected)
	}
	for _, encoded := range ofKind {
		root, err := rootOf(encoded.([]byte))
		if err != nil {
			return err
		}
		message.Payload = root
		if err := message.Verify(nil, must(cose.NewVerifier(cose.AlgorithmES256, publicKey(key)))); err != nil {
			return err
		}
	}
	return nil
}
