"""What a wheel leaves in an environment, file by file, as pip would (PEP 376, 427, 610, 627)."""

from __future__ import annotations

import csv
import io
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256

from reconciler.errors import CorruptError
from reconciler.oci.member import Member, file_of
from reconciler.values.pep import normalise
from reconciler.wheel.archive import Entry, Wheel
from reconciler.wheel.metadata import Script

INSTALLER = "pip"
"""Tools ask for this name before they say how to change an environment, and pip is what is in ours."""
MAX_SCRIPT = 16 << 20
"""Bytes of a script whose first line is rewritten."""
KEPT = 4 << 10
"""Bytes that a file has to be compressed to for its compressed form to be kept **[format]**."""
_INTERPRETER = b"#!python"
_PEEK = 64
_PIP = "pip"
_PLAIN, _EXECUTABLE = 0o644, 0o755
_SCRIPT = """\
#!{python}
import sys

from {module} import {first}

if __name__ == "__main__":
    sys.exit({attribute}())
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scheme:
    """Where things go, relative to the root; ``python`` is the interpreter that scripts begin with."""

    modules: str
    scripts: str
    headers: str
    data: str
    python: str

    @classmethod
    def of(cls, prefix: str, python: str, project: str) -> Scheme:
        """Give the places below ``prefix`` for a Python like ``3.11``."""
        return cls(
            modules=f"{prefix}/lib/python{python}/site-packages",
            scripts=f"{prefix}/bin",
            headers=f"{prefix}/include/site/python{python}/{project}",
            data=prefix,
            python=f"/{prefix}/bin/python",
        )


def installed(
    wheel: Wheel, *, python: str, prefix: str, direct_url: str | None = None, requested: bool = False
) -> tuple[Member, ...]:
    """Give the files of a wheel below ``prefix``, for a Python like ``3.11``, with the RECORD of an installed package.

    ``direct_url`` is where it came from, if from no index; ``requested`` whether somebody asked for it by name. Two
    files of the wheel that go to one place are a CorruptError.
    """
    scheme = Scheme.of(prefix, python, wheel.metadata.name)
    folder = f"{scheme.modules}/{wheel.metadata.dist_info}"
    record = f"{wheel.metadata.dist_info}/RECORD"
    members = [_member(wheel, entry, scheme) for entry in wheel.entries if entry.name not in wheel.metadata.unrecorded]
    members += [_script(script, scheme) for script in _commands(wheel, python)]
    ours = {"INSTALLER": f"{INSTALLER}\n"}
    if requested:
        ours["REQUESTED"] = ""
    if direct_url is not None:
        ours["direct_url.json"] = direct_url
    own = {f"{folder}/{name}" for name in (*ours, "RECORD", "REQUESTED", "direct_url.json")}
    members = [member for member in members if member.path not in own]
    members += [_hashed(file_of(f"{folder}/{name}", text.encode())) for name, text in ours.items()]
    _refuse_twice(wheel, members)
    return (*members, file_of(f"{scheme.modules}/{record}", _record(members, scheme, record)))


def _member(wheel: Wheel, entry: Entry, scheme: Scheme) -> Member:
    folder, kind = scheme.modules, ""
    name = entry.name
    if name.startswith(f"{wheel.metadata.data}/"):
        kind, separator, name = name.removeprefix(f"{wheel.metadata.data}/").partition("/")
        folders = {
            "purelib": scheme.modules,
            "platlib": scheme.modules,
            "scripts": scheme.scripts,
            "headers": scheme.headers,
            "data": scheme.data,
        }
        if not separator or kind not in folders:
            raise CorruptError(f"{wheel.file}: {entry.name} goes nowhere that is known")
        folder = folders[kind]
    mode = _EXECUTABLE if entry.is_executable or kind == "scripts" else _PLAIN
    plain = Member(
        path=f"{folder}/{name}",
        mode=mode,
        size=entry.size,
        read=partial(wheel.read, entry),
        digest=entry.digest,
        packed=partial(wheel.read_packed, entry) if entry.is_deflated and entry.packed >= KEPT else None,
    )
    return _rewritten(wheel, entry, plain, scheme) if kind == "scripts" else plain


def _rewritten(wheel: Wheel, entry: Entry, plain: Member, scheme: Scheme) -> Member:
    """Give a script the environment's interpreter; a program that is no script stays as it is."""
    if not next(iter(wheel.read(entry)), b"")[:_PEEK].startswith(_INTERPRETER):
        return plain
    if entry.size > MAX_SCRIPT:
        raise CorruptError(f"{wheel.file}: the script {entry.name} has more than {MAX_SCRIPT} bytes")
    rest = b"".join(wheel.read(entry)).partition(b"\n")[2]
    return _hashed(file_of(plain.path, f"#!{scheme.python}\n".encode() + rest, mode=_EXECUTABLE))


def _commands(wheel: Wheel, python: str) -> Iterator[Script]:
    """Give the commands; pip's own has the name of its Python too."""
    yield from wheel.metadata.scripts
    if normalise(wheel.metadata.name) == _PIP:
        own = (script for script in wheel.metadata.scripts if script.name == _PIP)
        yield from (replace(script, name=f"{_PIP}{python}") for script in own)


def _script(script: Script, scheme: Scheme) -> Member:
    text = _SCRIPT.format(
        python=scheme.python,
        module=script.module,
        first=script.attribute.partition(".")[0],
        attribute=script.attribute,
    )
    return _hashed(file_of(f"{scheme.scripts}/{script.name}", text.encode(), mode=_EXECUTABLE))


def _hashed(member: Member) -> Member:
    data = b"".join(member.read()) if member.read is not None else b""
    return replace(member, digest="sha256=" + urlsafe_b64encode(sha256(data).digest()).decode().rstrip("="))


def _refuse_twice(wheel: Wheel, members: list[Member]) -> None:
    seen: set[str] = set()
    for member in members:
        if member.path in seen:
            raise CorruptError(f"{wheel.file}: two of its files go to /{member.path}")
        seen.add(member.path)


def _record(members: list[Member], scheme: Scheme, own: str) -> bytes:
    """Write RECORD as pip does (RFC 4180): paths relative to the modules, sorted, its own without hash and size."""
    text = io.StringIO()
    rows = [(_relative(member.path, scheme.modules), member.digest, str(member.size)) for member in members]
    csv.writer(text).writerows(sorted([*rows, (own, "", "")]))
    return text.getvalue().encode()


def _relative(path: str, folder: str) -> str:
    there, here = path.split("/"), folder.split("/")
    shared = next(
        (depth for depth, (one, other) in enumerate(zip(there, here, strict=False)) if one != other),
        min(len(there), len(here)),
    )
    return "/".join([*_up(len(here) - shared), *there[shared:]])


def _up(count: int) -> Iterator[str]:
    yield from [".."] * count
