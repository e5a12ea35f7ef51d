"""Each check is one line of JSON on stdout: {"check", "ok", "detail"}, or {"check", "skip"} with the reason."""

import json
import os
import sys
from typing import Any, Callable

with open(sys.argv[1], encoding="utf-8") as file:
    fixture: dict[str, Any] = json.load(file)


def read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def write(name: str, content: bytes) -> str:
    path = os.path.join(os.path.dirname(sys.argv[1]), name)
    with open(path, "wb") as file:
        file.write(content)
    return path


def check(name: str, run: Callable[[], object]) -> None:
    """Holds unless `run` raises, or returns a reason why not."""
    try:
        wrong = run()
    except Exception as error:  # a peer's own failure is this check's, not the program's
        wrong = f"{type(error).__name__}: {error}"
    say(name, ok=wrong is None, **({} if wrong is None else {"detail": str(wrong)}))


def refuses(name: str, run: Callable[[], object], *errors: type[Exception]) -> None:
    """Holds when `run` raises one of `errors`, or returns a reason why not."""

    def refused() -> str | None:
        try:
            return None if run() is not None else "it was accepted"
        except errors:
            return None

    check(f"refuses {name}", refused)


def skip(name: str, why: str) -> None:
    say(name, skip=why)


def say(name: str, **outcome: object) -> None:
    print(json.dumps({"check": name, **outcome}), flush=True)


def each(name: str, run: Callable[[dict[str, Any]], object]) -> None:
    """A check of every entry of the fixture, told apart by who signed."""
    for algorithm in ("ES256", "Ed25519"):
        entries = [entry for entry in fixture["entries"] if entry["algorithm"] == algorithm]

        def all_of_them() -> str | None:
            for entry in entries:
                wrong = run(entry)
                if wrong is not None:
                    return f"entry {entry['index']}: {wrong}"
            return None if entries else "there is none"

        check(f"{name}, signed with {algorithm}", all_of_them)


def flipped(content: bytes, at: int) -> bytes:
    changed = bytearray(content)
    changed[at] ^= 1
    return bytes(changed)
