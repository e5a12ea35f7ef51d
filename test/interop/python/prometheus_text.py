"""Reads a scrape with prometheus_client: prometheus_text.py FORMAT FILE. One line of JSON for each check."""

import json
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

read = {"openMetrics": read_openmetrics, "text": read_text}[sys.argv[1]]
with open(sys.argv[2], encoding="utf-8") as file:
    scrape = file.read()


def families(text):
    return {family.name: family for family in read(text)}


def check(name, ok, detail=""):
    print(json.dumps({"check": name, "ok": ok, "detail": detail}), flush=True)


seen = families(scrape)
check(
    f"reads a scrape as {sys.argv[1]}",
    seen["provlog_entries"].type == "counter" and seen["provlog_append_seconds"].type == "histogram" and len(seen) > 30,
    str(sorted(seen)),
)
check("finds a sample in every family that always has one", all(seen[name].samples for name in ("provlog_tree_size", "provlog_ready")))
if sys.argv[1] == "openMetrics":
    try:
        families(scrape.replace("# EOF\n", ""))
        check("refuses one that is cut short", False, "it was taken")
    except ValueError:
        check("refuses one that is cut short", True)
