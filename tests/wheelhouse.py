"""Wheels and source distributions made by tests: tiny, deterministic, installable."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

_TIME = (2020, 1, 1, 0, 0, 0)


def write_wheel(
    folder: Path, name: str, version: str, *, requires: Sequence[str] = (), modules: Mapping[str, str] | None = None
) -> Path:
    """Write ``NAME-VERSION-py3-none-any.whl`` with a module of that name, or with these modules."""
    stem = f"{name.replace('-', '_')}-{version}"
    files = dict(modules or {f"{name.replace('-', '_')}.py": f"VERSION = {version!r}\n"})
    metadata = "".join(f"Requires-Dist: {item}\n" for item in requires)
    files[f"{stem}.dist-info/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{metadata}"
    files[f"{stem}.dist-info/WHEEL"] = (
        "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    files[f"{stem}.dist-info/RECORD"] = (
        "".join(f"{path},sha256={_hash(text)},{len(text.encode())}\n" for path, text in files.items())
        + f"{stem}.dist-info/RECORD,,\n"
    )
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for entry, text in files.items():
            archive.writestr(zipfile.ZipInfo(entry, _TIME), text)
    return path


def _hash(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def write_sdist(folder: Path, name: str, version: str, *, setup: str = "") -> Path:
    """Write ``NAME-VERSION.tar.gz`` whose ``setup.py`` runs ``setup`` first."""
    stem = f"{name}-{version}"
    files = {
        f"{stem}/PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{stem}/setup.py": f"{setup}\nfrom setuptools import setup\nsetup(name={name!r}, version={version!r})\n",
    }
    return _write_tar(folder / f"{stem}.tar.gz", files)


_BACKEND = """
import zipfile
{setup}
STEM = {stem!r}
FILES = {files!r}

def build_wheel(folder, settings=None, metadata=None):
    name = STEM + "-py3-none-any.whl"
    with zipfile.ZipFile(folder + "/" + name, "w") as archive:
        for path, text in FILES.items():
            archive.writestr(path, text)
    return name
"""


def write_buildable(
    folder: Path, name: str, version: str, *, setup: str = "", build_requires: Sequence[str] = ()
) -> Path:
    """Write ``NAME-VERSION.tar.gz`` with a build backend of its own (PEP 517), which runs ``setup`` first."""
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    wheel = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    inside = {
        f"{name.replace('-', '_')}.py": f"VERSION = {version!r}\n",
        f"{stem}.dist-info/METADATA": info,
        f"{stem}.dist-info/WHEEL": wheel,
    }
    inside[f"{stem}.dist-info/RECORD"] = (
        "".join(f"{path},sha256={_hash(text)},{len(text.encode())}\n" for path, text in inside.items())
        + f"{stem}.dist-info/RECORD,,\n"
    )
    files = {
        f"{stem}/PKG-INFO": info,
        f"{stem}/pyproject.toml": f"[build-system]\nrequires = {[*build_requires]!r}\n"
        'build-backend = "backend"\nbackend-path = ["."]\n',
        f"{stem}/backend.py": _BACKEND.format(setup=setup, stem=stem, files=inside),
    }
    return _write_tar(folder / f"{stem}.tar.gz", files)


def _write_tar(path: Path, files: Mapping[str, str]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for entry, text in files.items():
            info = tarfile.TarInfo(entry)
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return path
