"""What bytecode is a function of: the source, its name and the interpreter, and nothing else in the process."""

from __future__ import annotations

import importlib.util
import io
import marshal
import sys
from types import CodeType

import pytest

from reconciler.clients import pyc

NAME = "/opt/venv/lib/python3.11/site-packages/thing.py"
SOURCE = b'"""A module."""\n\ndef twice(value):\n    return value in {None, "a", ("b", None), 3} and value * 2\n'


def frame(kind: bytes, data: bytes) -> bytes:
    return kind + len(data).to_bytes(4, "big") + data


def answers(*frames: bytes) -> list[tuple[bytes, bytes]]:
    sink = io.BytesIO()
    pyc.main(io.BytesIO(b"".join(frames)), sink)
    found, data = [], sink.getvalue()
    while data:
        size = int.from_bytes(data[1:5], "big")
        found.append((data[:1], data[5 : 5 + size]))
        data = data[5 + size :]
    return found


def asked(source: bytes) -> bytes:
    return frame(pyc.NAME, NAME.encode()) + frame(pyc.SOURCE, source)


def loads(file: bytes) -> CodeType:
    found = marshal.loads(file[16:])  # noqa: S302  # what was just written
    assert isinstance(found, CodeType)
    return found


def names(code: CodeType) -> set[str]:
    return {code.co_filename}.union(*(names(item) for item in code.co_consts if isinstance(item, CodeType)))


def test_it_says_what_it_is_before_it_is_asked() -> None:
    ((kind, data),) = answers()
    version = ".".join(map(str, sys.version_info[:3]))
    assert (kind, data.decode()) == (pyc.TEXT, f"{version} {sys.implementation.cache_tag}")


def test_a_file_is_unchecked_and_has_the_hash_of_its_source() -> None:
    data = pyc.pyc_of(SOURCE, NAME)
    assert data[:4] == importlib.util.MAGIC_NUMBER
    assert data[4:8] == b"\x01\0\0\0"
    assert data[8:16] == importlib.util.source_hash(SOURCE)


def test_code_says_where_it_is_in_the_image() -> None:
    code = loads(pyc.pyc_of(SOURCE, NAME))
    assert names(code) == {NAME}


def test_assertions_and_docstrings_are_kept() -> None:
    found: dict[str, object] = {}
    exec(loads(pyc.pyc_of(b'"""Text."""\nassert kept\n', NAME)), found | {"kept": True}, found)  # noqa: S102
    assert found["__doc__"] == "Text."
    with pytest.raises(NameError, match="kept"):
        exec(loads(pyc.pyc_of(b"assert kept", NAME)), {})  # noqa: S102


@pytest.mark.parametrize(
    "source",
    [
        b"print 'Python 2'",
        b"{{ template }}\nimport {{ name }}",
        b"\xff\xfe\0 no text",
        b"# coding: no-such-codec\n",
        b"text = '\xff'\n",
        b"a\0b",
        b"1" * 5000,
        b"-" * 200_000 + b"1",
        b"(" * 300 + b")" * 300,
        b"return 1",
    ],
    ids=["2", "template", "utf-16", "codec", "latin", "nul", "digits", "depth", "nested", "return"],
)
def test_what_is_no_python_has_no_file_and_the_next_one_has(source: bytes) -> None:
    _, first, second = answers(asked(source), asked(SOURCE))
    assert first in ((pyc.NOTHING, b""), (pyc.FAILURE, b"there is not enough memory to compile it"))
    assert second == (pyc.CODE, pyc.pyc_of(SOURCE, NAME))


def test_an_empty_module_has_a_file() -> None:
    _, (kind, data) = answers(asked(b""))
    assert kind == pyc.CODE
    assert len(data) > 16


@pytest.mark.parametrize(
    "frames",
    [b"N", frame(pyc.NAME, b"x"), frame(pyc.SOURCE, b"x") * 2, asked(SOURCE)[:-1], frame(b"?", b"") * 2],
    ids=["head", "name alone", "kind", "cut", "unknown"],
)
def test_frames_that_are_none_end_it(frames: bytes) -> None:
    assert len(answers(frames)) == 1


def test_too_little_memory_is_no_fault_of_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(*_: object, **__: object) -> bytes:
        raise MemoryError

    monkeypatch.setattr(marshal, "dumps", lacking)
    assert pyc.answer(SOURCE, NAME) == (pyc.FAILURE, b"there is not enough memory to compile it")


@pytest.mark.threat("T11")
def test_nothing_of_a_source_is_run(capsys: pytest.CaptureFixture[str]) -> None:
    source = b"raise SystemExit\nprint('ran')\nimport nothing_of_that_name\n"
    assert answers(asked(source))[1][0] == pyc.CODE
    assert capsys.readouterr().out == ""
