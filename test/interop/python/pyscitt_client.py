"""pyscitt, the client of Microsoft's signing transparency service, against our log."""

import cbor2
from loguru import logger
from pycose.messages import Sign1Message
from pyscitt import crypto
from pyscitt.client import Client, ServiceError

from checks import check, fixture, read, refuses, skip

logger.remove()
client = Client(fixture["url"], cacert=fixture["ca"], wait_time=0.05)
#: From 0.14 on it speaks SCRAPI as it is now; before, it expected operations, which SCRAPI dropped.
SPEAKS_SCRAPI = hasattr(client, "get_scitt_keys")
first = fixture["entries"][0]
spares = [read(path) for path in fixture["spares"]["pyscitt"]]
COSE = {"Content-Type": "application/cose"}


def is_receipt(content: bytes) -> None:
    receipt = Sign1Message.decode(content)
    assert receipt.payload is None and 396 in receipt.uhdr, receipt


def reads() -> None:
    for tx in (f"0.{first['index']}", first["entry"]):
        is_receipt(client.get_receipt(tx))
        transparent = client.get_transparent_statement(tx)
        (receipt,) = Sign1Message.decode(transparent).uhdr[crypto.SCITTReceipts]
        is_receipt(receipt)
        assert Sign1Message.decode(transparent).payload == Sign1Message.decode(read(first["statement"])).payload


check("get_receipt, get_transparent_statement: by 0.<index> and by digest", reads)


def unknown() -> None:
    try:
        client.get_receipt("0.999999")
    except ServiceError as error:
        assert error.code and error.message, error
        return
    raise AssertionError("no error for an entry that is not there")


def refused() -> None:
    try:
        client.post("/entries", headers=COSE, content=spares[0][:-1])
    except ServiceError as error:
        assert error.code and error.message, error
        return
    raise AssertionError("no error for a statement that was cut off")


check("ServiceError: title and detail from our concise problem details", unknown)
check("ServiceError: of a statement that the log refuses", refused)


def waits() -> None:
    answer = client.post("/entries", params={"waitForCommit": "true"}, headers=dict(COSE), content=spares[1])
    assert answer.status_code == 201, answer.status_code
    is_receipt(answer.content)


check("POST /entries?waitForCommit=true through its client: 201 with the receipt", waits)


def redirected() -> None:
    headers = {**COSE, "Prefer": "respond-async"}
    answer = client.session.post("/entries", headers=headers, content=spares[2], follow_redirects=False)
    assert answer.status_code == 303 and answer.content == b"", answer
    location = answer.headers["location"]
    answer = client.session.get(location, follow_redirects=False)
    while answer.status_code == 302:
        answer = client.session.get(location, follow_redirects=False)
    is_receipt(client.get_receipt(location.rsplit("/", 1)[1]))


check("POST /entries with Prefer: respond-async through its session: 303, and get_receipt at the place", redirected)


def signed(signer: dict, feed: str) -> bytes:
    certified = crypto.Signer(
        read(signer["key"]).decode(),
        issuer="did:x509:0:sha256:example::subject:CN:interop",
        x5c=[read(path).decode() for path in signer["chain"]],
    )
    return crypto.sign_statement(certified, b"what pyscitt says", "text/plain", feed=feed, cwt=True)


for signer in fixture["signers"]["certified"]:

    def registers_own() -> None:
        statement = signed(signer, "interop")
        answer = client.post("/entries", params={"waitForCommit": "true"}, headers=dict(COSE), content=statement)
        assert answer.status_code == 201, answer.status_code
        is_receipt(answer.content)
        place = answer.headers["location"].rsplit("/", 1)[1]
        assert Sign1Message.decode(client.get_transparent_statement(place)).payload == b"what pyscitt says"

    check(f"a statement that its crypto signed under an x5chain, {signer['algorithm']}", registers_own)

if SPEAKS_SCRAPI:

    def keys() -> None:
        found = client.get_scitt_keys()
        assert [client.get_scitt_key(key[2]) for key in found] == found

    def submits() -> None:
        pending = client.submit_signed_statement(spares[3])
        is_receipt(client.wait_for_entry(pending.operation_tx))

    def submits_and_waits() -> None:
        is_receipt(client.submit_signed_statement_and_wait_for_receipt(spares[4]).response_bytes)
        transparent = client.submit_signed_statement_and_wait(spares[4]).response_bytes
        is_receipt(Sign1Message.decode(transparent).uhdr[crypto.SCITTReceipts][0])

    def submits_for_commit() -> None:
        is_receipt(client.submit_signed_statement_wait_for_commit(spares[5]).response_bytes)

    check("get_scitt_keys, get_scitt_key", keys)
    check("submit_signed_statement, wait_for_entry", submits)
    check("submit_signed_statement_and_wait, …_for_receipt", submits_and_waits)
    check("submit_signed_statement_wait_for_commit", submits_for_commit)
else:
    skip(
        "submit_signed_statement, …_and_wait",
        "this version expects a CBOR map with an OperationId, and /operations, which SCRAPI dropped in 2025",
    )
