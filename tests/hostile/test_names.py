"""T1: names of environments that some tool, file system or reader takes for something else."""

from __future__ import annotations

import json
import unicodedata

import pytest

from reconciler.errors import ManifestError
from reconciler.manifest.model import Manifest
from reconciler.manifest.parse import collisions, parse_manifest
from reconciler.sources.schemas import read_schema
from reconciler.values.names import GRAMMAR, refusal

SCHEMA = read_schema("environment")
MAX_SHOWN = 1000

TRAVERSALS = [
    ".", "..", "...", "./a", "../a", "a/..", "a/../b", "a/b", "/", "/a", "/etc/passwd", "//a", "a/", "a//b", "\\",
    "a\\b",
    "..\\a", "C:", "C:\\a", "c:a", "\\\\host\\share", "~", "~root", "~/a", "file:///etc/passwd", "file:a", "a:b",
    "a:$DATA",
]  # fmt: skip
ENCODED = ["%2e", "%2e%2e", "a%2fb", "%00", "a%00b", "%252e", "&#46;", "\\x2e", "\\u002e", "=2E"]
CONTROLS = [
    "a\x00", "\x00a", "a\x00b", "a\n", "\na", "a\nb", "a\r", "a\r\n", "a\tb", "\ta", "a\x1b[31m", "a\x07", "a\x08",
    "a\x7f",
    "a\x85", "a\x0b", "a\x0c",
]  # fmt: skip
SHELL = [
    "-", "-a", "--help", "-rf", "@file", "@a", "$HOME", "${HOME}", "$(id)", "`id`", "a;b", "a|b", "a&b", "a b",
    " a", "a ",
    "a*", "a?", "[a]", "{a,b}", "'a'", '"a"', "a>b", "<a", "!a", "#a", "a=b", "a,b", "a+b",
]  # fmt: skip
EDGES = ["a.", "a-", "a_", ".a", "_a", "a..b", "a___b", "a._b", "a-.b", "a.-b", "a" * 101, "a" * 255, "a" * 10_000]
DEVICES = [
    "con", "prn", "aux", "nul", "com0", "com1", "com9", "lpt0", "lpt1", "lpt9", "con.yaml", "nul.a.b", "com1.x",
    "aux.1",
]  # fmt: skip
RESERVED = ["reconciler-", "reconciler-state", "reconciler-a"]
LOOKALIKES = [
    "\u0410", "\u0430b", "tr\u0430ining", "e\u0301", "\u00e9", "\ufb01", "a\u200b", "\u200ba", "a\u200db",
    "a\u2060b", "\ufeffa", "a\u00ad",
    "\u202ea", "a\u202eb", "a\u2066b", "a\u2069", "\u200fa", "a\u061cb", "\uff11", "\uff41", "a\u2024b", "a\u2010b",
    "a\uff0fb", "a\u2215b", "a\u3000b",
    "a\u00a0b", "\u0131", "\u0130", "\u00df", "\u017f", "K", "a\U000e0061", "\U0001d41a", "\U0001f642",
]  # fmt: skip
CASES = ["A", "Training", "TRAINING", "tRaining"]
ALL = [*TRAVERSALS, *ENCODED, *CONTROLS, *SHELL, *EDGES, *DEVICES, *RESERVED, *LOOKALIKES, *CASES]


def found_in(text: str, path: str = "environments/a.yaml") -> list[str]:
    with pytest.raises(ManifestError) as caught:
        parse_manifest(text.encode(), path, SCHEMA)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.threat("T1")
@pytest.mark.parametrize("name", ALL, ids=[ascii(name)[:40] for name in ALL])
def test_a_name_outside_the_grammar_is_refused_and_shown_harmlessly(name: str) -> None:
    found = found_in(f"name: {json.dumps(name)}\n")
    assert all(line.isascii() and line.isprintable() and len(line) < MAX_SHOWN for line in found)
    own = name in RESERVED[1:] or name in DEVICES
    assert own or any(GRAMMAR in line for line in found), found


@pytest.mark.threat("T1")
@pytest.mark.parametrize("name", ["..", "A", "-a", "a\n", "con", "reconciler-x"])
@pytest.mark.parametrize("field", ["renamed_from", "docker.base_environment"])
def test_other_fields_that_name_an_environment_hold_the_same_grammar(field: str, name: str) -> None:
    section, _, key = field.rpartition(".")
    line = f"{key}: {json.dumps(name)}"
    assert found_in(f"name: a\n{section + ': {' + line + '}' if section else line}\n")


def test_the_grammar_itself_refuses_every_case() -> None:
    assert [name for name in ALL if refusal(name) is None] == []


@pytest.mark.threat("T1")
@pytest.mark.parametrize(
    ("first", "second"),
    [("a", "a"), ("a", "A"), ("training", "Training"), ("fi", "\ufb01"), ("\u00e9", "e\u0301"), ("k", "\u212a")],
)
def test_names_that_a_file_system_takes_for_one_collide(first: str, second: str) -> None:
    one = Manifest(name=first, path="environments/one.yaml")
    two = Manifest(name=second, path="environments/two.yaml")
    found = collisions([one, two])
    assert len(found) == 1
    assert one.path in found[0].message
    assert two.path in found[0].message


def test_the_cases_are_not_changed_by_an_editor_that_normalises() -> None:
    assert any(unicodedata.normalize("NFC", name) != name for name in LOOKALIKES)
    assert len(ALL) > 110
    assert len(set(ALL)) == len(ALL)
