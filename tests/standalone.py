"""Archives laid out as those of python-build-standalone, made from a Python of this machine, and a mirror of them.

The interpreter finds its libraries beside itself, wherever it is put. For another architecture it is only marked so.
"""

from __future__ import annotations

import fcntl
import gzip
import io
import json
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import uv

from reconciler.oci.elf import parse_needs

RELEASE = "20240107"
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
_E_MACHINE = {"amd64": 62, "arm64": 183}
_LEFT_OUT = frozenset(
    ["test", "tests", "__pycache__", "idlelib", "turtledemo", "tkinter", "ensurepip", "site-packages"]
)
_ENDINGS_LEFT_OUT = (".a", ".pyc")
_GLIBC = re.compile(r"lib(?:c|m|dl|rt|pthread|util|crypt|resolv|nsl)\.so\.[0-9]+|ld-linux.*|linux-vdso.*")
_PUBLIC = re.compile(r"https://\S+?/releases/download(?=/)")
_PIP = """#!/bin/sh
'''exec' "$(dirname -- "$(realpath -- "$0")")/python{minor}" "$0" "$@"
' '''
import sys
from pip._internal.cli.main import main
sys.exit(main())
"""


class Required(Protocol):
    """How a missing tool is told."""

    def another_python(self, version: str) -> Path | None: ...

    def refuse(self, reason: str) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Archive:
    """One archive: its version, for which architecture, and its bytes."""

    version: str
    architecture: str
    data: bytes = field(repr=False)

    @property
    def file(self) -> str:
        """Its name, as python-build-standalone writes it."""
        machine = MACHINES[self.architecture]
        return f"cpython-{self.version}+{RELEASE}-{machine}-unknown-linux-gnu-install_only_stripped.tar.gz"

    @cached_property
    def sha256(self) -> str:
        return sha256(self.data).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Mirror:
    """A folder with archives, and the list that stands for uv's own."""

    folder: Path

    @property
    def variables(self) -> dict[str, str]:
        """How uv is told of it."""
        return {"UV_PYTHON_INSTALL_MIRROR": self.folder.as_uri(), "UV_PYTHON_DOWNLOADS_JSON_URL": str(self.list)}

    @property
    def list(self) -> Path:
        return self.folder / "downloads.json"

    def path_of(self, archive: Archive) -> Path:
        """Say where an archive is."""
        return self.folder / RELEASE / archive.file

    def put(self, archive: Archive, *, sums: bool = True) -> Archive:
        """Add an archive; without ``sums`` the list does not say its sha256."""
        path = self.path_of(archive)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(archive.data)
        entries = json.loads(self.list.read_text()) if self.list.exists() else {}
        entries.update([_entry(archive, archive.sha256 if sums else None)])
        self.list.write_text(json.dumps(entries))
        return archive


def _entry(archive: Archive, known: str | None) -> tuple[str, object]:
    machine = MACHINES[archive.architecture]
    major, minor, patch = map(int, archive.version.split("."))
    return f"cpython-{archive.version}-linux-{machine}-gnu", {
        "name": "cpython",
        "arch": {"family": machine, "variant": None},
        "os": "linux",
        "libc": "gnu",
        "major": major,
        "minor": minor,
        "patch": patch,
        "prerelease": "",
        "url": f"{public_place()}/{RELEASE}/{quote(archive.file)}",
        "sha256": known,
        "variant": None,
        "build": RELEASE,
    }


def public_place() -> str:
    """Hear from uv what a mirror stands for."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [uv.find_uv_bin(), "python", "install", "3.12", "--no-config", "--no-bin", "--install-dir", folder],
            env={"UV_OFFLINE": "1", "UV_NO_CACHE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    found = _PUBLIC.search(done.stderr)
    assert found is not None, done.stderr
    return found[0]


def make_archive(required: Required, folder: Path, minor: str, architecture: str = "amd64") -> Archive:
    """Make the archive of a Python in a folder, once: whoever comes meanwhile waits, and finds it."""
    program = required.another_python(minor)
    if program is None:
        required.refuse(f"no Python {minor} where pyenv keeps them")
    assert program is not None
    root = program.parent.parent
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"lock-{minor}").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = folder / f"{root.name}-{architecture}.tar.gz"
        if not path.exists():
            path.write_bytes(pack(dict(_files(root, minor, architecture))))
    return Archive(version=root.name, architecture=architecture, data=path.read_bytes())


Entry = tuple[tarfile.TarInfo, bytes]


def pack(files: Mapping[str, bytes | str], *more: Entry) -> bytes:
    """Write an archive: path to bytes, or to where a link leads; ``more`` are entries as they are."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
                archive.addfile(entry)
                continue
            entry.size, entry.mode = len(content), 0o755 if "/bin/" in path else 0o644
            archive.addfile(entry, io.BytesIO(content))
        for entry, data in more:
            archive.addfile(entry, io.BytesIO(data))
    return gzip.compress(buffer.getvalue(), 1, mtime=0)


def small(version: str = "3.12.1", architecture: str = "amd64", **files: bytes | str) -> dict[str, bytes | str]:
    """Give the least that has the layout; names in ``files`` have ``__`` where paths have a slash."""
    minor = ".".join(version.split(".")[:2])
    program = b"\x7fELF\x02\x01\x01" + bytes(11) + _E_MACHINE[architecture].to_bytes(2, "little") + b"\0"
    return {
        f"python/bin/python{minor}": program + version.encode() + b"\0",
        "python/bin/python3": f"python{minor}",
        f"python/lib/python{minor}/os.py": b"",
        **{name.replace("__", "/"): content for name, content in files.items()},
    }


# -- from a Python of this machine ------------------------------------------------------------------------------


def _files(root: Path, minor: str, architecture: str) -> Iterator[tuple[str, bytes | str]]:
    change = _relocating(root, architecture)
    needed: dict[str, Path] = {}
    yield f"python/bin/python{minor}", change(root / "bin" / f"python{minor}", "$ORIGIN/../lib")
    yield "python/bin/python3", f"python{minor}"
    yield "python/bin/python", f"python{minor}"
    yield f"python/bin/pip{minor}", _PIP.format(minor=minor).encode()
    for path in (*_walk(root / "include"), *_walk(root / "lib")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            yield f"python/{name}", str(path.readlink())
            continue
        if ".so" in path.name:
            needed |= _needed(path, root)
        above = "/.." * (name.count("/") - 1) if name.count("/") > 1 else ""
        yield f"python/{name}", change(path, f"$ORIGIN{above}")
    for name, library in sorted(needed.items()):
        yield f"python/lib/{name}", library.read_bytes()


def _walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            if path.name == "site-packages":
                yield from (one for one in sorted(path.glob("pip*/**/*")) if one.is_file() and one.suffix != ".pyc")
            elif path.name not in _LEFT_OUT and not path.name.startswith("config-"):
                yield from _walk(path)
        elif not path.name.endswith(_ENDINGS_LEFT_OUT):
            yield path


def _relocating(root: Path, architecture: str) -> Callable[[Path, str], bytes]:
    """Give what makes a file find its libraries beside itself; a text is for ``/install`` afterwards."""
    place = f"{root}/lib".encode()

    def change(path: Path, libraries: str) -> bytes:
        data = path.read_bytes()
        if not data.startswith(b"\x7fELF"):
            return data.replace(bytes(root), b"/install")
        data = _stripped(path) or data
        own = libraries.encode()
        assert len(own) <= len(place)
        data = data.replace(place + b"\0", own + bytes(len(place) - len(own) + 1))
        return data[:18] + _E_MACHINE[architecture].to_bytes(2, "little") + data[20:]

    return change


def _stripped(path: Path) -> bytes:
    """Give a program without what only debuggers read; nothing where this machine has no strip."""
    program = shutil.which("strip")
    if program is None:
        return b""
    with tempfile.NamedTemporaryFile() as file:
        subprocess.run([program, "-S", "-o", file.name, path], check=True, capture_output=True)
        return Path(file.name).read_bytes()


def _needed(path: Path, root: Path) -> dict[str, Path]:
    """Find the libraries of this machine that are in an archive of python-build-standalone too, but glibc's."""
    if not parse_needs(path.read_bytes(), path.name).libraries:
        return {}
    said = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
    found = re.findall(r"(\S+) => (/\S+)", said)
    return {
        name: Path(place) for name, place in found if not _GLIBC.fullmatch(name) and not place.startswith(str(root))
    }
