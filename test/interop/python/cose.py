"""COSE, SCITT and CDDL implementations of others on our statements and receipts; and theirs, for us to judge afterwards."""

import hashlib
import json
import ssl
import urllib.request

import cbor2
import scitt_cose
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cwt import COSE, COSEKey
from zcbor.zcbor.zcbor import CddlValidationError, DataTranslator

from checks import check, each, fixture, flipped, read, refuses, write

log_key = read(fixture["receiptKey"])
first = fixture["entries"][0]


def statement_of(entry: dict) -> str | None:
    found = scitt_cose.parse_signed_statement(read(entry["statement"]), public_key_pem=read(entry["publicKey"]))
    return None if found["signature_verified"] is True else str(found)


def receipt_of(receipt: bytes, leaf: str, key: bytes = log_key) -> str | None:
    result = scitt_cose.verify_receipt(receipt, leaf_entry_hex=leaf, log_public_key_pem=key)
    return None if result.ok else "; ".join(result.errors)


def transparent_of(entry: dict) -> str | None:
    receipts = scitt_cose.extract_receipts(read(entry["transparent"]))
    if len(receipts) != 1:
        return f"{len(receipts)} receipts"
    statement = read(entry["statement"])
    if scitt_cose.attach_receipts(statement, receipts) != read(entry["transparent"]):
        return "it would have been written otherwise"
    return receipt_of(receipts[0], hashlib.sha256(statement).hexdigest())


each("scitt-cose: verifies statements", statement_of)
each("scitt-cose: verifies receipts", lambda e: receipt_of(read(e["receipt"]), e["entry"]))
each("scitt-cose: verifies transparent statements", transparent_of)
check(
    "scitt-cose: reads who the log is, and when it signed",
    lambda: None
    if (
        (result := scitt_cose.verify_receipt(
            read(first["receipt"]), leaf_entry_hex=first["entry"], log_public_key_pem=log_key
        )).issuer == fixture["origin"]
        and result.subject
        and result.iat
    )
    else f"{result}",
)
refuses(
    "scitt-cose: a receipt with one bit of its signature changed",
    lambda: receipt_of(flipped(read(first["receipt"]), -1), first["entry"]),
)
refuses("scitt-cose: a receipt for another entry", lambda: receipt_of(read(first["receipt"]), "00" * 32))
refuses(
    "scitt-cose: a receipt under the key of a writer",
    lambda: receipt_of(read(first["receipt"]), first["entry"], read(first["publicKey"])),
)
refuses(
    "scitt-cose: a statement under the log's key",
    lambda: statement_of({**first, "publicKey": fixture["receiptKey"]}),
)


def with_cwt(entry: dict) -> str | None:
    message = read(entry["statement"])
    protected = cbor2.loads(cbor2.loads(message).value[0])
    key = COSEKey.from_pem(read(entry["publicKey"]).decode(), kid=protected[4])
    payload = COSE.new().decode(message, keys=[key])
    return None if payload else "no payload"


each("python-cwt: verifies statements", with_cwt)


# A schema is of the standards' text, not of our code: what passes here has the form that others expect.
def schema(name: str) -> DataTranslator:
    rules = DataTranslator.from_cddl(read(f"test/interop/python/{name}s.cddl").decode(), default_max_qty=64)
    return rules.my_types[name]


receipt_schema, statement_schema = schema("receipt"), schema("statement")
each("cddl: receipts have the form of RFC 9942", lambda e: receipt_schema.validate_str(read(e["receipt"])) and None)
each("cddl: statements have the form of RFC 9943", lambda e: statement_schema.validate_str(read(e["statement"])) and None)
check(
    "cddl: receipts of consistency have the form of RFC 9942",
    lambda: all(receipt_schema.validate_str(read(r["receipt"])) for r in fixture["consistency"]) and None,
)
refuses(
    "cddl: a receipt in place of a statement",
    lambda: statement_schema.validate_str(read(first["receipt"])) and None,
    CddlValidationError,
)
refuses(
    "cddl: a statement in place of a receipt",
    lambda: receipt_schema.validate_str(read(first["statement"])) and None,
    CddlValidationError,
)


def registers() -> str | None:
    """From a payload to a verified receipt with nothing of ours but the log."""
    signer = fixture["signers"]["byKid"]
    statement = scitt_cose.build_signed_statement(
        b"what scitt-cose says",
        alg="ES256",
        private_key_pem=read(signer["key"]),
        issuer="https://issuer.example",
        subject="urn:example:scitt-cose",
        content_type="text/plain",
        kid=signer["kid"].encode(),
    )
    request = urllib.request.Request(
        f"{fixture['url']}/entries", statement, {"Content-Type": "application/scitt-statement+cose"}
    )
    context = ssl.create_default_context(cafile=fixture["ca"])
    with urllib.request.urlopen(request, context=context, timeout=20) as answer:
        return receipt_of(answer.read(), hashlib.sha256(statement).hexdigest())


check("scitt-cose: makes a statement, registers it, and verifies the receipt", registers)


def private_pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def made_by_scitt_cose() -> None:
    """Statements and receipts of scitt-cose's own, and what must be refused: our verifier reads them when this has ended."""
    keys = {"ES256": ec.generate_private_key(ec.SECP256R1()), "EdDSA": ed25519.Ed25519PrivateKey.generate()}
    made = []
    for alg, key in keys.items():
        statements = [
            scitt_cose.build_signed_statement(
                f"payload {i}".encode(),
                alg=alg,
                private_key_pem=private_pem(key),
                issuer="https://issuer.example",
                subject=f"urn:example:{i}",
                content_type="text/plain",
                kid=b"somebody",
            )
            for i in range(7)
        ]
        leaves = [hashlib.sha256(statement).hexdigest() for statement in statements]
        for index in (0, 3, 6):
            receipt = scitt_cose.build_receipt(
                leaf_entry_hex=leaves[index],
                leaf_index=index,
                tree_entries_hex=leaves,
                alg=alg,
                log_private_key_pem=private_pem(key),
                iss="https://log.example",
                sub=f"urn:example:{index}",
                kid=b"log",
            )
            for name, valid, changed in (("", True, receipt), ("-bad", False, flipped(receipt, -1))):
                made.append(
                    {
                        "valid": valid,
                        "statement": write(f"peer-{alg}-{index}.statement.cose", statements[index]),
                        "receipt": write(f"peer-{alg}-{index}{name}.receipt.cose", changed),
                        "publicKey": write(f"peer-{alg}.pem", public_pem(key)),
                    }
                )
    write("peer.json", json.dumps(made).encode())


check("scitt-cose: makes statements and receipts", made_by_scitt_cose)
