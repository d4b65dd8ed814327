"""T4: files that grow. T5: what YAML's readers disagree on has one verdict here."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from reconciler.errors import ManifestError
from reconciler.manifest.conversion import convert
from reconciler.manifest.document import parse_document
from reconciler.manifest.node import MAX_BYTES, MAX_DEPTH, MAX_NODES
from reconciler.manifest.parse import parse_manifest, read_value
from reconciler.sources.schemas import read_schema
from reconciler.values.canonical import Json

SCHEMA = read_schema("environment")
PATH = "environments/a.yaml"
FULL = MAX_BYTES - 100


def bomb(levels: int, width: int, *, mapping: bool = False) -> str:
    lines = ["a0: &a0 [x, x]"]
    for level in range(1, levels):
        names = [f"*a{level - 1}"] * width
        inside = ", ".join(f"k{index}: {name}" for index, name in enumerate(names)) if mapping else ", ".join(names)
        lines.append(f"a{level}: &a{level} " + (f"{{{inside}}}" if mapping else f"[{inside}]"))
    return "\n".join(lines)


SHAPES = [(5, 10), (6, 10), (7, 10), (9, 9), (20, 2), (30, 2), (49, 2), (100, 2), (4, 100), (3, 1000)]
BOMBS = {
    f"bomb-{levels}-{width}-{mapping}": bomb(levels, width, mapping=mapping)
    for levels, width in SHAPES
    for mapping in (False, True)
}
BRACKETS = [
    ("list", "[", "]"),
    ("mapping", "{a: ", "}"),
    ("dash", "- ", ""),
    ("question", "? ", ""),
    ("open", "[", ""),
]
NESTS = {
    f"nest-{kind}-{depth}": opening * depth + closing * depth
    for kind, opening, closing in BRACKETS
    for depth in (MAX_DEPTH + 1, 1000, 30_000)
}
LONG = {
    "commas": "a: [" + "a," * (FULL // 2),
    "keys": "".join(f"k{index}: v\n" for index in range(FULL // 12)),
    "duplicates": "a: 1\n" * (FULL // 5),
    "items": "a:\n" + "- b\n" * (FULL // 4 - 1),
    "words": "a: " + "a b " * (FULL // 4),
    "lines": "a:\n" + " b\n" * (FULL // 3),
    "blank-lines": "a: b" + "\n" * FULL,
    "block": "a: |\n" + " a\n" * (FULL // 3),
    "folded": "a: >\n" + " a\n" * (FULL // 3),
    "escapes": 'a: "' + "\\x41" * (FULL // 4) + '"',
    "quotes": "a: '" + "''" * (FULL // 2) + "'",
    "unclosed": 'a: "' + "a\n" * (FULL // 2),
    "integer": "name: " + "1" * FULL,
    "integer-in-a-number": "name: a\nprotected: " + "1" * FULL,
    "float": "name: " + "1" * 5000 + "e" + "9" * 5000,
    "tag": "a: !" + "a" * FULL,
    "anchor": "a: &" + "a" * FULL,
    "anchors": "".join(f"k{index}: &a{index} v\n" for index in range(4900)),
    "aliases": "k: &a [x]\n" + "".join(f"k{index}: *a\n" for index in range(3300)),
    "long-key": "a" * FULL + ": x",
    "long-name": "name: " + "a-" * (FULL // 2),
    "directives": "".join(f"%TAG !{index}! x\n" for index in range(FULL // 18)) + "--- a",
    "directive-number": "%YAML 1." + "1" * 5000 + "\n--- a",
    "documents": "--- a\n" * (FULL // 6),
    "indentation": "".join(" " * index + "a:\n" for index in range(400)),
    "spaces": "a:" + " " * FULL + "b",
    "unknown-fields": "".join(f"k{index}: v\n" for index in range(4900)),
    "variables": "name: a\nenvironment_variables:\n" + "".join(f"  1k{index}: v\n" for index in range(4900)),
    "platforms": "name: a\nplatforms: [" + "x, " * 9000 + "x]",
    "addresses": "name: a\nowner: " + "://@" * (FULL // 4),
    "references": "name: a\nowner: " + "${a" * (FULL // 3),
    "too-large": "#" * (MAX_BYTES + 1),
    "far-too-large": "a: b\n" * 2_000_000,
    "itself": "a: &a [*a]",
    "itself-in-a-mapping": "a: &a {b: {c: *a}}",
    "itself-as-a-key": "? &a [*a]\n: b",
}
GROWING = {**BOMBS, **NESTS, **LONG}


@pytest.mark.threat("T4")
@pytest.mark.parametrize("text", GROWING.values(), ids=GROWING.keys())
def test_what_grows_is_refused_with_a_line_in_under_a_second(text: str) -> None:
    data = text.encode()
    read_value(b"name: a", PATH, SCHEMA)
    start = time.process_time()
    with pytest.raises(ManifestError) as caught:
        read_value(data, PATH, SCHEMA)
    assert time.process_time() - start < 1
    assert caught.value.where is not None
    assert caught.value.where.line > 0
    assert len(caught.value.problems) <= 200
    assert all(len(str(problem)) < 2000 for problem in caught.value.problems)


# Linux counts into a process's ru_maxrss what its parent had when it was started, which here is all of pytest.
PEAK = """
import re, resource
def peak():
    try:
        status = open("/proc/self/status").read()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", status).group(1)) * 1024
"""


@pytest.mark.threat("T4")
def test_refusals_stay_under_200_megabytes() -> None:
    program = (
        f"{PEAK}"
        "import json, sys\n"
        "from reconciler.errors import ManifestError\n"
        "from reconciler.manifest.parse import read_value\n"
        "texts, schema = json.load(sys.stdin)\n"
        "refused = 0\n"
        "for text in texts:\n"
        "    try: read_value(text.encode(), 'environments/a.yaml', schema)\n"
        "    except ManifestError: refused += 1\n"
        "print(refused, peak())\n"
    )
    texts = [LONG[name] for name in ("commas", "keys", "block", "anchors", "integer")] + [BOMBS["bomb-9-9-False"]]
    ran = subprocess.run(
        [sys.executable, "-c", program], input=json.dumps([texts, SCHEMA]), capture_output=True, text=True, check=True
    )
    refused, peak = map(int, ran.stdout.split())
    assert refused == len(texts)
    assert peak < 200_000_000


@pytest.mark.threat("T4")
def test_what_lies_within_the_limits_is_read() -> None:
    items = ", ".join(["x"] * (MAX_NODES - 10))
    assert not parse_document(f"a: [{items}]".encode(), PATH).problems
    assert not parse_document(("[" * MAX_DEPTH + "]" * MAX_DEPTH).encode(), PATH).problems


REFUSED = {
    # duplicate keys
    "duplicate": "name: a\nname: a",
    "duplicate-quoted": "name: a\n'name': a",
    "duplicate-in-flow": "name: a\ntags: {a: b, a: c}",
    "duplicate-escaped": 'name: a\n"\\x6eame": a',
    "duplicate-null": "name: a\nowner:\nowner: x",
    "duplicate-section": "name: a\npython: {}\npython: {}",
    "duplicate-number": "name: a\ntags: {1: b, '1': c}",
    "duplicate-far": "name: a\ntags:\n  b: c\n  d: e\n  b: f",
    "duplicate-explicit": "? name\n: a\n? name\n: a",
    "duplicate-by-alias": "name: &a name\n*a : a",
    # numbers that are none
    "nan": "name: a\nowner: .nan",
    "NaN": "name: a\nowner: .NaN",
    "NAN": "name: a\nowner: .NAN",
    "inf": "name: a\nowner: .inf",
    "minus-inf": "name: a\nowner: -.inf",
    "plus-inf": "name: a\nowner: +.Inf",
    "nan-in-list": "name: a\nsystem_packages: [.nan]",
    "nan-as-value": "name: a\nenvironment_variables: {A: .nan}",
    # merge keys
    "merge": "name: a\ntags: &t {a: b}\nenvironment_variables: {<<: *t}",
    "merge-inline": "name: a\n<<: {owner: b}",
    "merge-list": "name: a\ntags: {<<: [{a: b}]}",
    "merge-at-top": "<<: {name: a}",
    "merge-null": "name: a\n<<:",
    # several documents
    "two": "name: a\n---\nname: a",
    "two-empty": "name: a\n---",
    "two-ended": "name: a\n...\n---\nname: b",
    "first-empty": "---\n---\nname: a",
    "bare-second": "name: a\n...\nowner: b",
    "three": "---\nname: a\n---\n---",
    "none": "",
    "comment-only": "# name: a",
    "marker-only": "---",
    "end-only": "...",
    "blanks": "\n\n  \n",
    # tags
    "tag-str": "name: !!str a",
    "tag-int": "name: a\nowner: !!int 3",
    "tag-python": "name: a\nowner: !!python/object/apply:os.system [id]",
    "tag-name": "name: a\nowner: !!python/name:os.system",
    "tag-local": "name: a\nowner: !x y",
    "tag-verbatim": "name: a\nowner: !<tag:yaml.org,2002:str> x",
    "tag-set": "name: a\ntags: !!set {a}",
    "tag-map": "!!map {name: a}",
    "tag-omap": "name: a\ntags: !!omap [a: b]",
    "tag-binary": "name: a\nowner: !!binary aGk=",
    "tag-none": "name: ! a",
    "tag-key": "!!str name: a",
    "tag-null": "name: a\nowner: !!null x",
    "tag-unknown-handle": "name: !x!y a",
    "tag-timestamp": "name: a\nowner: !!timestamp 2024-01-01",
    "tag-bool": "name: a\nprotected: !!bool true",
    "tag-seq": "name: a\nsystem_packages: !!seq [b]",
    "tag-empty": "name: a\nowner: !!str",
    "tag-env": "name: a\nowner: !ENV x",
    "tag-include": "name: a\npython: !include x.yaml",
    "tag-import": "name: a\nowner: !!python/module:os x",
    # directives
    "yaml-1.1": "%YAML 1.1\n---\nname: a",
    "yaml-1.2": "%YAML 1.2\n---\nname: a",
    "yaml-2": "%YAML 2.0\n---\nname: a",
    "tag-directive": "%TAG ! x\n---\nname: a",
    "yaml-twice": "%YAML 1.1\n%YAML 1.1\n---\nname: a",
    "directive-bad": "%YAML\n---\nname: a",
    "directive-only": "%YAML 1.1",
    # encodings
    "bom-inside": "name: a\nowner: \ufeffb",
    "bom-twice": "\ufeff\ufeffname: a",
    "nul": "name: a\x00",
    "escape": "name: a\nowner: \x1b[31m",
    "delete": "name: a\nowner: \x7f",
    "c1": "name: a\nowner: \x9b31m",
    "nel": "name: a # \x85owner: b",
    "ls": "name: a # \u2028owner: b",
    "ps": "name: a # \u2029owner: b",
    "bidi": "name: a # \u202e",
    "isolate": "name: a\nowner: \u2066b",
    "nonchar": "name: a\nowner: \uffff",
    "cr": "name: a\rowner: b",
    "cr-cr-lf": "name: a\r\r\nowner: b",
    "form-feed": "name: a\n\x0cowner: b",
    "vertical-tab": "name: a\nowner: b\x0bc",
    "escaped-nul": 'name: a\nowner: "\\0"',
    "escaped-escape": 'name: a\nowner: "\\e[31m"',
    "escaped-surrogate": 'name: a\nowner: "\\ud800"',
    "escaped-pair": 'name: a\nowner: "\\ud83d\\ude00"',
    "escaped-beyond": 'name: a\nowner: "\\U00110000"',
    "escaped-huge": 'name: a\nowner: "\\UFFFFFFFF"',
    "escaped-bidi": 'name: a\nowner: "\\u202e"',
    "escaped-nel": 'name: a\nowner: "\\N"',
    "escaped-ls": 'name: a\nowner: "\\L"',
    "escape-unknown": 'name: a\nowner: "\\q"',
    "escape-short": 'name: a\nowner: "\\x4"',
    "escape-cut": 'name: a\nowner: "\\',
    # tabs
    "tab-indent": "name: a\npython:\n\tversion: 3.11",
    "tab-after-colon": "name:\ta",
    "tab-after-dash": "name: a\nsystem_packages:\n-\tb",
    "tab-before-comment": "name: a\t# b",
    "tab-alone": "name: a\n\t",
    "tab-in-plain": "name: a\nowner: b\tc",
    "tab-in-flow": "name: a\ntags: {\ta: b}",
    "tab-first": "\tname: a",
    "tab-after-value": "name: a\t",
    # keys
    "null-key": "name: a\n~: b",
    "null-word-key": "name: a\nnull: b",
    "empty-key": "name: a\n? \n: b",
    "list-key": "name: a\n? [b]\n: c",
    "mapping-key": "name: a\n? {b: c}\n: d",
    "list-key-in-flow": "name: a\ntags: {[b]: c}",
    "empty-quoted-key": "name: a\n'': b",
    "number-key": "name: a\n1: b",
    "true-key": "name: a\ntrue: b",
    "null-key-in-flow": "name: a\ntags: {: b}",
    "name-as-a-flow-key": "{name}",
    "key-with-space": "name : a\n'name ': b",
    # values
    "null-name": "name: ~",
    "no-name": "name:",
    "null-list": "name: a\nsystem_packages:",
    "null-item": "name: a\nsystem_packages: [~]",
    "null-variable": "name: a\nenvironment_variables: {A: }",
    "yes": "name: a\nprotected: yes",
    "on": "name: a\nprotected: on",
    "True": "name: a\nprotected: True",
    "one": "name: a\nprotected: 1",
    "quoted-true": "name: a\nprotected: 'true'",
    "list-name": "name: [a]",
    "mapping-name": "name: {a: b}",
    "text": "name",
    "list": "- name: a",
    "number": "3",
    "quoted": "'name: a'",
    # syntax
    "colon-in-value": "name: a: b",
    "unclosed": "name: 'a",
    "unclosed-list": "name: a\nsystem_packages: [b",
    "unclosed-mapping": "{name: a",
    "stray-bracket": "name: a]\n]",
    "at": "name: @a",
    "backtick": "name: `a`",
    "percent": "name: %a",
    "alias": "name: *a",
    "anchor-alone": "name: a\nowner: & b",
    "alias-alone": "name: a\nowner: * b",
    "bad-indent": "name: a\n owner: b",
    "dedent": "  name: a\nowner: b",
    "two-anchors": "name: a\nowner: &b &c d",
    "item-beside-key": "name: a\n- b",
    "double-comma": "name: a\nsystem_packages: [b,,c]",
    "block-indicator": "name: a\nowner: |x\n  b",
    "quote-after": "name: 'a' b",
    "comma-value": "name: ,a",
    "bracket": "name: ]",
    "anchored-alias": "name: &x a\nowner: &y *x",
}


@pytest.mark.threat("T5")
@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_what_readers_disagree_on_is_refused_with_a_line(text: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse_manifest(text.encode(), PATH, SCHEMA)
    where = caught.value.where
    assert where is not None
    assert where.path == PATH
    assert where.line > 0
    assert where.column > 0


ENCODED = [
    "name: a".encode("utf-16"), "name: a".encode("utf-16-le"), "name: a".encode("utf-16-be"),
    "name: a".encode("utf-32"),
    b"name: a\nowner: \xff", b"name: a\nowner: \xc0\xaf", b"name: a\nowner: \xed\xa0\x80",
    b"name: a\nowner: \xf5\x80\x80\x80",
    b"name: a\nowner: \xe9", b"\xef\xbb", b"\xff\xfe", b"\x00", b"name: a\nowner: \x80", b"name: a\nowner: \xe2\x82",
]  # fmt: skip


@pytest.mark.threat("T5")
@pytest.mark.parametrize("data", ENCODED, ids=[ascii(data)[2:40] for data in ENCODED])
def test_what_is_not_utf_8_is_refused_with_a_line(data: bytes) -> None:
    with pytest.raises(ManifestError) as caught:
        parse_manifest(data, PATH, SCHEMA)
    assert caught.value.where is not None
    assert caught.value.where.line > 0


KEPT = [
    "3.10", "3.1", "3.0", "1e3", "010", "0o10", "0x1F", "0b11", "1_000", "+5", "-0", "190:20:30", "1:30",
    "2024-01-01", "2024-01-01T00:00:00Z", "yes",
    "Yes", "no", "No", "on", "off", "y", "n", "true", "True", "FALSE", "nan", "inf", "1.0", ".5", "5.", "=", "<<x",
    "a<<", "1e400", "-", "a#b", "a'b", "é", "日本",
]  # fmt: skip


@pytest.mark.threat("T5")
@pytest.mark.parametrize("text", KEPT)
@pytest.mark.parametrize("style", ["{}", "'{}'", '"{}"'])
def test_a_text_is_what_was_typed_with_and_without_quotes(text: str, style: str) -> None:
    if (text, style) == ("-", "{}"):
        text = "-x"
    quoted = style.format(text.replace("'", "''") if style == "'{}'" else text)
    manifest = parse_manifest(f"name: a\ntags: {{A: {quoted}}}\n".encode(), PATH, SCHEMA)
    assert manifest.tags == {"A": text}


@pytest.mark.threat("T5")
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize(
    "text", ["name: a\ndescription: |\n  b\n  c\n", "---\nname: a\n...\n", "name: a\nowner: 'b\n\n  c'\n"]
)
def test_line_ends_and_a_byte_order_mark_have_no_meaning(start: str, end: str, text: str) -> None:
    written = (start + text.replace("\n", end)).encode()
    assert parse_manifest(written, PATH, SCHEMA) == parse_manifest(text.encode(), PATH, SCHEMA)


@pytest.mark.threat("T5")
def test_the_verdict_does_not_need_libyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    import yaml  # noqa: PLC0415  # to take its C part away

    monkeypatch.delattr(yaml, "CParser", raising=False)
    monkeypatch.delattr(yaml, "CLoader", raising=False)
    value: Json = convert(parse_document(b"name: a", PATH).root, {}).value
    assert value == {"name": "a"}
