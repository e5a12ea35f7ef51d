package main

import (
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/veraison/go-cose"
)

// github.com/veraison/go-cose: statements and receipts as COSE_Sign1. What RFC 9942 adds to that is spelled out below, over
// transparency-dev/merkle, because no Go library of receipts is published.
func checkCose(f *fixture) {
	f.eachEntry("verifies statements", func(e entry) error { return verifyStatement(read(e.Statement), e) })
	f.eachEntry("verifies receipts of statements", func(e entry) error { return verifyReceipt(read(e.Receipt), e.bytes(), f.ReceiptKey) })
	e := f.Entries[0]
	refuses("a statement with one bit of its payload changed", func() error {
		bytes := read(e.Statement)
		return verifyStatement(flipped(bytes, len(bytes)-100), e)
	})
	refuses("a receipt for another entry", func() error {
		return verifyReceipt(read(e.Receipt), []byte("not this one"), f.ReceiptKey)
	})
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
	labelVDS       = int64(395)
	labelVDP       = int64(396)
	inclusionProof = int64(-1)
)

// verifyReceipt is RFC 9942 §5.2: the root that the proof implies for the entry is the detached payload of the signature.
func verifyReceipt(bytes, entry []byte, key string) error {
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
	inclusions, _ := proofs[inclusionProof].([]any)
	if len(inclusions) == 0 {
		return fmt.Errorf("no inclusion proof in %v", message.Headers.Unprotected)
	}
	for _, encoded := range inclusions {
		var inclusion struct {
			_     struct{} `cbor:",toarray"`
			Size  uint64
			Index uint64
			Path  [][]byte
		}
		if err := cbor.Unmarshal(encoded.([]byte), &inclusion); err != nil {
			return err
		}
		leaf := rfc6962.DefaultHasher.HashLeaf(entry)
		root, err := proof.RootFromInclusionProof(rfc6962.DefaultHasher, inclusion.Index, inclusion.Size, leaf, inclusion.Path)
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
