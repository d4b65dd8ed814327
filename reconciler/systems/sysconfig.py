"""What a relocated CPython says of how it was built, mended for where it is, as uv does when it installs one. Pure.

Builds of python-build-standalone are made for ``/install`` with a compiler of their own; whoever builds an extension
with one takes both from here.
"""

from __future__ import annotations

import ast
import re

from reconciler.errors import CorruptError

MAX_SIZE = 1 << 20
_PREFIX, _VARIABLES = "/install", "build_time_vars"
_COMPILERS = re.compile(r"(?:/usr/bin/[a-z0-9_]+-linux-gnu[a-z]*-gcc|clang|musl-clang)")
_COMPILERS_CXX = re.compile(r"(?:/usr/bin/[a-z0-9_]+-linux-gnu[a-z]*-g\+\+|clang\+\+)")
_C = frozenset(["BLDSHARED", "CC", "LDSHARED", "LINKCC"])
_CXX = frozenset(["CXX", "LDCXXSHARED"])
_PC_LINE = re.compile(r"^([A-Za-z]+)=/install$", re.MULTILINE)


def mend_variables(data: bytes, prefix: str, name: str) -> bytes:
    """Rewrite ``_sysconfigdata_*.py`` for a Python whose root is ``prefix`` (``/opt/python``).

    A file that assigns no such variables stays as it is; one that can't be read is a CorruptError.
    """
    try:
        text = data.decode("utf-8")
        found = _assigned(text)
        values = None if found is None else ast.literal_eval(found.value)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise CorruptError(f"{name} can't be read") from error
    if found is None or not isinstance(values, dict) or found.end_lineno is None:
        return data
    mended = {key: _mended(key, value, prefix) for key, value in values.items() if isinstance(key, str)}
    mended["PYTHON_BUILD_STANDALONE"] = 1
    lines = text.splitlines(keepends=True)
    entries = "".join(f"    {key!r}: {mended[key]!r},\n" for key in sorted(mended))
    written = f"{_VARIABLES} = {{\n{entries}}}\n"
    return "".join([*lines[: found.lineno - 1], written, *lines[found.end_lineno :]]).encode()


def mend_pkgconfig(data: bytes) -> bytes:
    """Rewrite a ``.pc`` file so that it finds its root from where it is."""
    try:
        return _PC_LINE.sub(r"\1=${pcfiledir}/../..", data.decode("utf-8")).encode()
    except UnicodeDecodeError:
        return data


def _assigned(text: str) -> ast.Assign | None:
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == [_VARIABLES]:
            return node
    return None


def _mended(key: str, value: object, prefix: str) -> object:
    if not isinstance(value, str):
        return value
    if key == "AR":
        return "ar"
    return " ".join(_word(key, word, prefix) for word in value.split())


def _word(key: str, word: str, prefix: str) -> str:
    if word.startswith(_PREFIX):
        return f"{prefix}{word.removeprefix(_PREFIX)}"
    if key in _C and _COMPILERS.fullmatch(word):
        return "cc"
    return "c++" if key in _CXX and _COMPILERS_CXX.fullmatch(word) else word
