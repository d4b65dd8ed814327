"""T6: schemas that fetch, expressions that never end, and a ``$`` that matches before a newline."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from referencing.exceptions import Unresolvable

from reconciler.manifest.conversion import convert
from reconciler.manifest.document import parse_document
from reconciler.manifest.parse import parse_manifest
from reconciler.manifest.schema import check, parse_schema
from reconciler.sources.schemas import read_schema
from reconciler.values.canonical import Json

FOLDER = Path(__file__).parent.parent.parent / "schemas"
OWN = ("environment", "config")


def nodes(value: Json, path: str = "") -> Iterator[tuple[str, dict[str, Json]]]:
    """Give every schema inside a schema, with its path."""
    if isinstance(value, dict):
        yield path, value
        for key, item in value.items():
            if key not in ("examples", "default", "enum"):
                yield from nodes(item, f"{path}/{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from nodes(item, f"{path}/{index}")


def patterns(names: tuple[str, ...]) -> list[str]:
    found = set()
    for name in names:
        for _, node in nodes(json.loads(read_schema(name))):
            if isinstance(node.get("pattern"), str):
                found.add(str(node["pattern"]))
            inner = node.get("patternProperties")
            found.update(inner if isinstance(inner, dict) else ())
    return sorted(found)


SHIPPED = tuple(sorted(file.name.removesuffix(".schema.json") for file in FOLDER.glob("*.schema.json")))
EVERY = patterns(SHIPPED)
UNITS = [
    "a",
    "A",
    "0",
    "-",
    ".",
    "_",
    "a-",
    "a.",
    "a_",
    "__",
    "a__",
    "/",
    "a/",
    ":",
    "a:",
    "=",
    " ",
    "\n",
    "é",
    "${",
    "1.",
    "//",
    "http://a",
    "@",
]
ENDS = ["", "!", "\n", "\x00", " ", "-"]


@pytest.fixture
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    opened: list[object] = []

    def refuse(*arguments: object, **_: object) -> None:
        opened.append(arguments)
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return opened


@pytest.mark.threat("T6")
@pytest.mark.parametrize("pattern", EVERY)
def test_no_pattern_is_slow_on_any_text(pattern: str) -> None:
    compiled = re.compile(pattern)
    for unit in UNITS:
        for end in ENDS:
            text = unit * (20_000 // len(unit)) + end
            start = time.process_time()
            compiled.search(text)
            assert time.process_time() - start < 0.05, (unit, end)


@pytest.mark.threat("T6")
@pytest.mark.parametrize("pattern", patterns(OWN))
def test_a_pattern_fits_the_whole_text_or_nothing(pattern: str) -> None:
    assert pattern.startswith("^")
    assert pattern.endswith(r"$(?!\n)")
    assert "|" not in re.sub(r"\((?:[^()]|\([^()]*\))*\)|\[[^]]*\]", "", pattern)
    # ASCII alone: these stand for other characters in Python than in an editor.
    assert re.search(r"\\[dwbDWB]", pattern) is None


def examples() -> Iterator[tuple[str, str]]:
    for name in OWN:
        for _, node in nodes(json.loads(read_schema(name))):
            found = node.get("examples")
            for example in found if isinstance(found, list) and "pattern" in node else ():
                if isinstance(example, str):
                    yield str(node["pattern"]), example


@pytest.mark.threat("T6")
@pytest.mark.parametrize(("pattern", "example"), sorted(set(examples())))
def test_a_newline_never_ends_a_text_that_fits(pattern: str, example: str) -> None:
    assert re.search(pattern, example)
    for text in (f"{example}\n", f"\n{example}", f"{example}\n{example}", f"{example}\r\n"):
        assert re.search(pattern, text) is None


REMOTE = [
    "http://127.0.0.1:9/schema.json", "https://schemas.example.org/x.json", "http://[::1]/x", "file:///etc/passwd",
    "ftp://example.org/x", "http://169.254.169.254/latest/meta-data", "urn:example:x", "other.json", "//example.org/x",
]  # fmt: skip


@pytest.mark.threat("T6")
@pytest.mark.usefixtures("no_sockets")
@pytest.mark.parametrize("address", REMOTE)
def test_a_reference_to_elsewhere_is_never_fetched(address: str) -> None:
    schema = parse_schema(json.dumps({"$id": "http://base.invalid/x", "properties": {"name": {"$ref": address}}}))
    converted = convert(parse_document(b"name: a", "x.yaml").root, schema.content)
    with pytest.raises(Exception, match=re.escape(address)) as caught:
        check(converted, schema, "x.yaml")
    assert isinstance(caught.value, Unresolvable) or isinstance(caught.value.__cause__, Unresolvable)


@pytest.mark.threat("T6")
@pytest.mark.usefixtures("no_sockets")
@pytest.mark.parametrize("address", REMOTE)
def test_a_reference_in_a_manifest_is_a_value_like_any_other(address: str) -> None:
    manifest = parse_manifest(
        f"name: a\ntags: {{schema: '{address}'}}\n".encode(), "environments/a.yaml", read_schema("environment")
    )
    assert manifest.tags == {"schema": address}


@pytest.mark.threat("T6")
@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_schema_refers_to_itself_alone(name: str) -> None:
    for path, node in nodes(json.loads(read_schema(name))):
        reference = node.get("$ref", "#")
        assert isinstance(reference, dict) or str(reference).startswith("#"), path


@pytest.mark.threat("T6")
@pytest.mark.parametrize("name", OWN)
def test_no_keyword_is_used_whose_verdict_is_slow_or_not_asserted(name: str) -> None:
    used = {
        key
        for _, node in nodes(json.loads(read_schema(name)))
        for key in node
        if isinstance(node.get("type"), (str, list))
    }
    assert not used & {"uniqueItems", "format", "oneOf", "anyOf", "allOf", "not", "if", "contains", "dependencies"}
