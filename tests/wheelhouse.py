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
    folder: Path,
    name: str,
    version: str,
    *,
    requires: Sequence[str] = (),
    modules: Mapping[str, str | bytes] | None = None,
) -> Path:
    """Write ``NAME-VERSION-py3-none-any.whl`` with a module of that name, or with these modules."""
    stem = f"{name.replace('-', '_')}-{version}"
    files: dict[str, str | bytes] = dict(modules or {f"{name.replace('-', '_')}.py": f"VERSION = {version!r}\n"})
    metadata = "".join(f"Requires-Dist: {item}\n" for item in requires)
    files[f"{stem}.dist-info/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{metadata}"
    files[f"{stem}.dist-info/WHEEL"] = (
        "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    files[f"{stem}.dist-info/RECORD"] = (
        "".join(f"{path},sha256={_hash(_bytes(text))},{len(_bytes(text))}\n" for path, text in files.items())
        + f"{stem}.dist-info/RECORD,,\n"
    )
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for entry, text in files.items():
            archive.writestr(zipfile.ZipInfo(entry, _TIME), text)
    return path


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


def _hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


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
        "".join(f"{path},sha256={_hash(text.encode())},{len(text.encode())}\n" for path, text in inside.items())
        + f"{stem}.dist-info/RECORD,,\n"
    )
    backend = _BACKEND.format(setup=setup, stem=stem, files=inside)
    return write_backend(folder, name, version, backend, build_requires=build_requires)


def write_backend(folder: Path, name: str, version: str, backend: str, *, build_requires: Sequence[str] = ()) -> Path:
    """Write ``NAME-VERSION.tar.gz`` that is built by ``backend``, a module of Python."""
    stem = f"{name.replace('-', '_')}-{version}"
    inside = {
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "pyproject.toml": f"[build-system]\nrequires = {[*build_requires]!r}\n"
        'build-backend = "backend"\nbackend-path = ["."]\n',
        "backend.py": backend,
    }
    return _write_tar(folder / f"{stem}.tar.gz", {f"{stem}/{path}": text for path, text in inside.items()})


_COMPILING = """
import base64, hashlib, subprocess, zipfile
STEM, TAG, CODE = {stem!r}, {tag!r}, {code!r}

def build_wheel(folder, settings=None, metadata=None):
    open("code.c", "w").write(CODE)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", "code.so", "code.c"], check=True)
    name, version = STEM.split("-")
    files = {{
        name + ".so": open("code.so", "rb").read(),
        STEM + ".dist-info/METADATA": f"Metadata-Version: 2.1\\nName: {{name}}\\nVersion: {{version}}\\n".encode(),
        STEM + ".dist-info/WHEEL": f"Wheel-Version: 1.0\\nRoot-Is-Purelib: false\\nTag: {{TAG}}\\n".encode(),
    }}
    hashed = {{path: base64.urlsafe_b64encode(hashlib.sha256(data).digest()) for path, data in files.items()}}
    record = [f"{{path}},sha256={{digest.decode().rstrip('=')}},\\n" for path, digest in hashed.items()]
    files[STEM + ".dist-info/RECORD"] = ("".join(record) + STEM + ".dist-info/RECORD,,\\n").encode()
    with zipfile.ZipFile(f"{{folder}}/{{STEM}}-{{TAG}}.whl", "w") as archive:
        for path, data in files.items():
            archive.writestr(path, data)
    return f"{{STEM}}-{{TAG}}.whl"
"""


def write_compiled(folder: Path, name: str, version: str, *, tag: str, code: str) -> Path:
    """Write ``NAME-VERSION.tar.gz`` whose wheel, of this tag, has a library made of ``code`` by the machine's gcc."""
    return write_backend(folder, name, version, _COMPILING.format(stem=f"{name}-{version}", tag=tag, code=code))


def _write_tar(path: Path, files: Mapping[str, str]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for entry, text in files.items():
            info = tarfile.TarInfo(entry)
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return path


_EXTENSION = """
#include <Python.h>
static PyObject *answer(PyObject *self, PyObject *ignored) { return PyLong_FromLong(42); }
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, ""}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "speedy", "", -1, methods};
PyMODINIT_FUNC PyInit_speedy(void) { return PyModule_Create(&module); }
"""


def write_extension(folder: Path) -> Path:
    """Write ``speedy-1.tar.gz``, an extension in C that setuptools builds."""
    files = {
        "PKG-INFO": "Metadata-Version: 2.1\nName: speedy\nVersion: 1\n",
        "speedy.c": _EXTENSION,
        "setup.py": "from setuptools import Extension, setup\n"
        "setup(name='speedy', version='1', ext_modules=[Extension('speedy', ['speedy.c'])])\n",
    }
    return _write_tar(folder / "speedy-1.tar.gz", {f"speedy-1/{path}": text for path, text in files.items()})
