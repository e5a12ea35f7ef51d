"""SCRAPI and HTTP as a program meets them that knows only the texts: Python's own HTTP and TLS, and cbor2. No redirect is followed."""

import gzip
import http.client
import io
import socket
import ssl
from urllib.parse import urlsplit

import cbor2
import scitt_cose

from checks import check, fixture, read, refuses

where = urlsplit(fixture["url"])
tls = ssl.create_default_context(cafile=fixture["ca"])
PROBLEM = "application/concise-problem-details+cbor"
spares = [read(path) for path in fixture["spares"]["http"]]
first = fixture["entries"][0]


class Answer:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    def expect(self, status: int, media_type: str | None = None) -> "Answer":
        assert self.status == status, f"{self.status} and not {status}: {self.body[:200]!r}"
        if media_type is not None:
            assert self.headers.get("content-type") == media_type, self.headers.get("content-type")
        return self


def request(method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
    connection = http.client.HTTPSConnection(where.hostname, where.port, context=tls, timeout=20)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body, named)
        except OSError:
            # Refused before all of it was sent. The reason is there to read (RFC 9112 section 9.6).
            pass
        return Answer(connection.getresponse())
    finally:
        connection.close()


def get(path: str, **headers: str) -> Answer:
    return request("GET", path, **headers)


def post(body: bytes, path: str = "/entries", media_type: str = "application/cose", **headers: str) -> Answer:
    return request("POST", path, body, content_type=media_type, **headers)


def problem(answer: Answer, status: int) -> dict:
    found = cbor2.loads(answer.expect(status, PROBLEM).body)
    is_problem(found)
    return found


def is_problem(found: dict) -> None:
    """RFC 9290 section 2: title and detail; a response code is CoAP's, one byte; what is an extension is a map, under a number or a URI."""
    assert isinstance(found[-1], str) and isinstance(found[-2], str), found
    assert 0 <= found.get(-4, 0) < 256, found
    for name, value in found.items():
        extension = isinstance(name, str) or name >= 0
        assert not extension or (isinstance(value, dict) and value), found
        assert not isinstance(name, str) or urlsplit(name).scheme, found


def is_receipt(body: bytes) -> None:
    message = cbor2.loads(body)
    assert message.tag == 18 and message.value[2] is None and 396 in message.value[1], message


def registers() -> None:
    answer = post(spares[0]).expect(201, "application/cose")
    is_receipt(answer.body)
    assert get(answer.headers["location"]).expect(200, "application/cose").body
    again = post(spares[0], media_type="application/scitt-statement+cose").expect(201)
    assert again.headers["location"] == answer.headers["location"], again.headers


check("POST /entries: 201, a receipt, and where it is; the same statement again has the same place", registers)


def respond_async() -> None:
    answer = post(spares[1], prefer="respond-async").expect(303)
    assert answer.body == b"", answer.body
    assert answer.headers.get("preference-applied") == "respond-async", answer.headers
    for _ in range(100):
        polled = get(answer.headers["location"])
        if polled.status != 302:
            break
        assert polled.body == b"" and polled.headers["location"] == answer.headers["location"], polled.headers
    is_receipt(polled.expect(200, "application/cose").body)


check("POST /entries with Prefer: respond-async: 303, then 302 while it runs, then 200", respond_async)


def wait_for_commit() -> None:
    is_receipt(post(spares[2], "/entries?waitForCommit=true").expect(201).body)


check("POST /entries?waitForCommit=true: 201", wait_for_commit)


def media_types() -> None:
    path = f"/entries/{first['entry']}"
    for wanted in ("application/cose", "application/scitt-receipt+cose"):
        is_receipt(get(path, accept=wanted).expect(200, wanted).body)
    statement = get(f"{path}/statement", accept="application/scitt-statement+cose")
    assert scitt_cose.extract_receipts(statement.expect(200, "application/scitt-statement+cose").body)
    assert get(f"/entries/0.{first['index']}").expect(200).body == get(path).body


check("GET /entries/{id}: the receipt, of either media type, by digest and by 0.<index>", media_types)


def keys() -> None:
    answer = get("/.well-known/scitt-keys").expect(200, "application/cbor")
    key_set = cbor2.loads(answer.body)
    assert isinstance(key_set, list) and key_set, key_set
    for key in key_set:
        assert key[1] in (1, 2) and isinstance(key[2], bytes), key
        alone = get(f"/.well-known/scitt-keys/{key[2].decode()}").expect(200, "application/cbor")
        assert cbor2.loads(alone.body) == key, alone.body
    kid = cbor2.loads(cbor2.loads(read(first["receipt"])).value[0])[4]
    assert kid in [key[2] for key in key_set], "the key of the receipt is not there"


check("GET /.well-known/scitt-keys: a COSE_KeySet, and each key alone by its kid", keys)


def problems() -> None:
    problem(get("/entries/" + "00" * 32), 404)
    problem(get("/.well-known/scitt-keys/" + "A" * 43), 404)
    problem(get("/no/such/path", accept=PROBLEM), 404)
    problem(get("/entries/x", accept=PROBLEM), 400)
    assert "allow" in request("DELETE", "/entries").headers
    problem(request("DELETE", "/entries"), 405)
    problem(request("PUT", "/entries/" + "00" * 32), 405)
    problem(post(b"x" * 2_000_000), 413)
    problem(post(spares[3], media_type="application/json"), 415)
    packed = post(gzip.compress(spares[3]), content_encoding="gzip")
    problem(packed, packed.status if packed.status == 415 else 400)
    problem(post(b""), 400)
    problem(post(b"\xd2\x84"), 400)
    problem(post(spares[3][1:]), 400)
    problem(post(spares[3][:-1] + bytes([spares[3][-1] ^ 1])), 400)


check("400, 404, 405, 413 and 415 are concise problem details", problems)


def batch() -> None:
    sequence = b"".join(cbor2.dumps(each) for each in (spares[4], b"no statement", spares[5]))
    answer = post(sequence, "/v1/entries", "application/cbor-seq").expect(200, "application/cbor-seq")
    stream, answers = io.BytesIO(answer.body), []
    while stream.tell() < len(answer.body):
        answers.append(cbor2.load(stream))
    taken, refused, taken_too = answers
    is_receipt(taken)
    is_receipt(taken_too)
    is_problem(refused)
    problem(post(b"\xa0", "/v1/entries", "application/cbor-seq", accept=PROBLEM), 400)


check("POST /v1/entries: a CBOR sequence of receipts and concise problem details, in order", batch)


def partial_tiles() -> None:
    whole = get("/tile/0/000").expect(200).body
    assert len(whole) == 256 * 32, len(whole)
    (width,) = [each["size"] for each in fixture["checkpoints"] if each["size"] == 255]
    assert get(f"/tile/0/000.p/{width}").expect(200).body == whole[: width * 32]
    for path in ("/tile/0/000.p/0", "/tile/0/000.p/256", "/tile/0/000.p/07", "/tile/0/0", "/tile/00/000", "/tile/64/000"):
        assert get(path).status in (400, 404), path
    assert get("/tile/0/999").status == 404


check("partial tiles: the beginning of the full one, under one spelling", partial_tiles)


def head() -> None:
    for path in ("/checkpoint", "/tile/0/000", "/tile/entries/000", f"/entries/{first['entry']}"):
        full, alone = get(path).expect(200), request("HEAD", path).expect(200)
        assert alone.body == b"" and alone.headers["content-length"] == str(len(full.body)), alone.headers
        assert alone.headers["content-type"] == full.headers["content-type"]


check("HEAD: as GET, without the body", head)


def conditional() -> None:
    for path in ("/checkpoint", "/tile/0/000", "/tile/entries/000"):
        tag = get(path).expect(200).headers["etag"]
        unchanged = get(path, if_none_match=tag).expect(304)
        assert unchanged.body == b"" and unchanged.headers["etag"] == tag, unchanged.headers
        get(path, if_none_match='"another"').expect(200)


check("If-None-Match: 304 for what the client has", conditional)


def compressed() -> None:
    plain = get("/tile/entries/000", accept_encoding="identity").expect(200)
    assert "content-encoding" not in plain.headers, plain.headers
    packed = get("/tile/entries/000", accept_encoding="gzip").expect(200)
    if packed.headers.get("content-encoding") == "gzip":
        assert gzip.decompress(packed.body) == plain.body
    else:
        assert packed.body == plain.body


check("entry bundles: gzip for whoever accepts it, and the same bytes", compressed)


def cors() -> None:
    for path in ("/checkpoint", "/tile/0/000", f"/entries/{first['entry']}"):
        assert get(path).headers["access-control-allow-origin"] == "*"


check("any web page may read", cors)


def plain_text() -> str | None:
    with socket.create_connection((where.hostname, where.port), timeout=10) as plain:
        plain.sendall(b"GET /checkpoint HTTP/1.1\r\nhost: localhost\r\n\r\n")
        answered = plain.recv(100)
        return None if answered.startswith(b"HTTP/1.1 200") else f"{answered!r}"


def unknown_anchor() -> None:
    with socket.create_connection((where.hostname, where.port), timeout=10) as plain:
        with ssl.create_default_context().wrap_socket(plain, server_hostname=where.hostname):
            return None


refuses("clear text on the TLS port", plain_text, OSError)
refuses("a certificate of nobody it knows", unknown_anchor, ssl.SSLCertVerificationError)
