"""Turns sources into bytecode (PEP 552), run by the interpreter of an image: it needs nothing of the reconciler.

Frames come in and go out: a kind of one byte, a length of four, the data. Whoever starts it hears the version of the
interpreter and the tag in the names of its files (``T``). Then each source, its name (``N``) and its bytes (``S``), is
answered by a file's bytes (``+``), by nothing where it is no Python for this interpreter (``-``), or by what failed
(``!``). Sources are compiled and never run.
"""

from __future__ import annotations

import importlib.util
import marshal
import sys
from types import CodeType
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # loading them takes longer than all the rest
    from collections.abc import Iterator, Mapping
    from typing import Any, BinaryIO

TEXT, NAME, SOURCE, CODE, NOTHING, FAILURE = b"T", b"N", b"S", b"+", b"-", b"!"
HEAD = 5
"""Bytes before a frame's data."""
_UNCHECKED = 0b01
_STABLE_SINCE = (3, 11)
"""Since then marshal writes names and sets without a look at references and hashes."""
_HASHED = (str, bytes, int, float, complex)
"""What is hashed by its value alone; None is hashed by where it is in memory until 3.12."""


def main(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer until there are no more frames; one that is cut short or of another kind ends it too."""
    version = sys.version.split()[0].rstrip("+")
    _write(sink, TEXT, f"{version} {sys.implementation.cache_tag}".encode())
    while True:
        name, text = _read(source, NAME), _read(source, SOURCE)
        if name is None or text is None:
            return
        _write(sink, *answer(text, name.decode()))


def answer(source: bytes, name: str) -> tuple[bytes, bytes]:
    """Give the kind and the data of the answer to a source."""
    try:
        return CODE, pyc_of(source, name)
    except MemoryError:  # another machine might have enough of it
        return FAILURE, b"there is not enough memory to compile it"
    except Exception:  # noqa: BLE001  # whatever Python says of what is none: pip passes it over too
        return NOTHING, b""


def pyc_of(source: bytes, name: str) -> bytes:
    """Give the file's bytes: a function of the source, its name and the interpreter alone.

    What ``compile`` raises is passed on.
    """
    code = compile(source, name, "exec", dont_inherit=True, optimize=0)
    head = importlib.util.MAGIC_NUMBER + _UNCHECKED.to_bytes(4, "little") + importlib.util.source_hash(source)
    return head + dumps(code)


def dumps(code: CodeType) -> bytes:
    """Write a code object so that nothing else in the process matters; since 3.11 marshal does."""
    if sys.version_info >= _STABLE_SINCE:
        return marshal.dumps(code)
    # What is referred to more than once is marked, and names are shared by all that an interpreter has loaded. Each is
    # held once more here, so that all of them are marked whatever else there is.
    held = list(_texts(code))
    marks = _marks(code)
    data = marshal.dumps(_marked(code, marks) if marks else code)
    del held
    for plain, mark in marks.items():
        data = data.replace(b"z" + bytes([len(mark)]) + mark, plain)
    return data


def _texts(value: object) -> Iterator[object]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (tuple, frozenset)):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, CodeType):
        yield from (value.co_name, *value.co_names, *value.co_varnames, *value.co_freevars, *value.co_cellvars)
        yield from _texts(value.co_consts)


# -- sets until 3.10: None, and a tuple that holds it, have another place in every process ------------------------


def _marks(code: CodeType) -> Mapping[bytes, bytes]:
    """Give a text to stand for each such member of a set, by the bytes that take its place again."""
    members = sorted({marshal.dumps(item, 2) for found in _sets(code) for item in found if not _is_hashed(item)})
    if not members:
        return {}
    there, start = marshal.dumps(code), 0
    while b"member %d." % start in there:
        start += 1
    return {plain: b"member %d.%d" % (start, place) for place, plain in enumerate(members)}


def _sets(value: object) -> Iterator[frozenset[Any]]:
    if isinstance(value, frozenset):
        yield value
    elif isinstance(value, CodeType):
        for item in value.co_consts:
            yield from _sets(item)


def _marked(value: Any, marks: Mapping[bytes, bytes]) -> Any:  # noqa: ANN401  # whatever stands in a code object
    if isinstance(value, CodeType):
        return value.replace(co_consts=tuple(_marked(item, marks) for item in value.co_consts))
    if isinstance(value, frozenset):
        members = sorted(value, key=lambda item: marshal.dumps(item, 2))
        return frozenset(item if _is_hashed(item) else marks[marshal.dumps(item, 2)].decode() for item in members)
    return value


def _is_hashed(value: object) -> bool:
    return isinstance(value, _HASHED) or (isinstance(value, tuple) and all(map(_is_hashed, value)))


# -- frames -----------------------------------------------------------------------------------------------------


def _write(sink: BinaryIO, kind: bytes, data: bytes) -> None:
    sink.write(kind + len(data).to_bytes(4, "big") + data)
    sink.flush()


def _read(source: BinaryIO, kind: bytes) -> bytes | None:
    head = source.read(HEAD)
    if len(head) != HEAD or head[:1] != kind:
        return None
    size = int.from_bytes(head[1:], "big")
    data = source.read(size)
    return data if len(data) == size else None


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
