"""HTTP message signatures of others on our requests and responses; and theirs, for us to judge afterwards.

http-message-signatures wants every signature to name its key (`keyid`), which the WIMSE profile forbids. So its parts are called one by
one: its parser of the fields, its resolver of components, its signature base, its algorithms, its digests.
"""

import base64
import json
from types import SimpleNamespace

from cryptography.exceptions import InvalidSignature
from http_message_signatures import HTTPMessageVerifier
from http_message_signatures.algorithms import ECDSA_P256_SHA256, ECDSA_P384_SHA384, ED25519
from http_message_signatures.digests import ContentDigest
from http_message_signatures.structures import CaseInsensitiveDict
from http_sf.compat import Dictionary, InnerList, Item

from checks import check, fixture, refuses, write

ALGORITHMS = {"ES256": ECDSA_P256_SHA256, "ES384": ECDSA_P384_SHA384, "EdDSA": ED25519}


def request_of(told: dict) -> SimpleNamespace:
    headers = CaseInsensitiveDict({name: value for name, value in told["fields"]})
    url = f"https://rp.example{told['target']}"
    return SimpleNamespace(method=told["method"], url=url, request_target=told["target"], headers=headers)


def message_of(told: dict) -> SimpleNamespace:
    if "status" not in told:
        return request_of(told)
    headers = CaseInsensitiveDict({name: value for name, value in told["fields"]})
    return SimpleNamespace(status_code=told["status"], headers=headers, request=request_of(told["request"]))


def verifier(algorithm: str) -> HTTPMessageVerifier:
    return HTTPMessageVerifier(signature_algorithm=ALGORITHMS[algorithm], key_resolver=None)


def verify(told: dict) -> str | None:
    ours = verifier(told["algorithm"])
    message = message_of(told)
    inputs = ours._parse_signature_dictionary(message.headers["Signature-Input"])
    signatures = ours._parse_signature_dictionary(message.headers["Signature"])
    if list(inputs) != ["wimse"] or list(signatures) != ["wimse"]:
        return f"labels {list(inputs)} and {list(signatures)}"
    base, _, elements = ours._build_signature_base(
        message, covered_component_ids=list(inputs["wimse"]), signature_params=inputs["wimse"].params
    )
    key = ALGORITHMS[told["algorithm"]](public_key=told["publicKey"].encode())
    key.verify(signature=signatures["wimse"].value, message=base.encode())
    body = base64.b64decode(told["content"])
    if body and not ContentDigest.verify_components(elements, body):
        return "the content is not covered"
    return None


def sign(told: dict) -> dict:
    """What our request would be, signed by them."""
    ours = verifier(told["algorithm"])
    message = request_of(told)
    covered = [Item(name) for name in ["@method", "@request-target", "workload-identity-token"]]
    base, params, _ = ours._build_signature_base(message, covered_component_ids=covered, signature_params=told["parameters"])
    key = ALGORITHMS[told["algorithm"]](private_key=told["privateKey"].encode())
    fields = [
        ["Signature-Input", str(Dictionary({"wimse": params}))],
        ["Signature", str(Dictionary({"wimse": Item(key.sign(base.encode()))}))],
    ]
    return {**told, "fields": [*told["fields"], *fields]}


for told in fixture["messages"]:
    check(f"verifies {told['name']}", lambda: verify(told))
    for change in ({"target": "/other"}, {"status": 500}):
        if change.keys() <= told.keys():
            refuses(f"{told['name']}, with another {next(iter(change))}", lambda: verify({**told, **change}), InvalidSignature)

signed = [sign(told) for told in fixture["unsigned"]]
write("possession-theirs.json", json.dumps(signed).encode())
check("signs requests for us to judge", lambda: None if signed else "there is none")
