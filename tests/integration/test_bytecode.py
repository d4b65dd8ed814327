"""Bytecode of real packages by a real base's interpreter, and of several versions under several conditions."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from reconciler.clients import pyc
from tests.conftest import Required
from tests.container_case import Machine
from tests.debian import Debian

MODULES = "opt/venv/lib/python3.11/site-packages"
VERSIONS = ("3.9", "3.10", "3.11", "3.12", "3.13")
SOURCES = {
    "sets.py": "def known(x):\n    return x in {None, 'a', ('b', None), ..., 2.5, b'c'} or x in {None, 'k', 'l'}\n",
    "names.py": "import json as loads\nclass Thing:\n    def append(self, value, key=None): return [value, key]\n",
    "empty.py": "",
    "none.py": "print 'Python 2'\n",
}


def asked(sources: Mapping[str, str]) -> bytes:
    frames = [
        (kind, text) for name, source in sources.items() for kind, text in ((pyc.NAME, name), (pyc.SOURCE, source))
    ]
    return b"".join(kind + len(data.encode()).to_bytes(4, "big") + data.encode() for kind, data in frames)


def answered(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    while data:
        size = int.from_bytes(data[1:5], "big")
        yield data[:1], data[5 : 5 + size]
        data = data[5 + size :]


def compiled(
    python: Path, names: Sequence[str], folder: Path, before: str = "", **variables: str
) -> dict[str, tuple[bytes, bytes]]:
    """Compile in a process of its own, which has loaded other modules before."""
    script = Path(pyc.__file__).read_text().replace("import marshal\n", f"import marshal\n{before}\n", 1)
    argv: list[str | Path] = [python, "-S", "-s", "-B", "-W", "ignore", "-c", script]
    environ = {"PYTHONHASHSEED": "0", **variables}
    said = asked({name: SOURCES[name] for name in names})
    done = subprocess.run(argv, input=said, capture_output=True, check=True, cwd=folder, env=environ)
    return dict(zip(names, list(answered(done.stdout))[1:], strict=True))


@pytest.mark.threat("F21")
@pytest.mark.parametrize("version", VERSIONS)
def test_the_same_source_is_the_same_bytecode_whatever_the_process(
    version: str, required: Required, tmp_path: Path
) -> None:
    python = required.another_python(version)
    if python is None:
        pytest.skip(f"no Python {version} beside the one that is needed")
    first = compiled(python, list(SOURCES), tmp_path)
    assert [kind for kind, _ in first.values()] == [pyc.CODE, pyc.CODE, pyc.CODE, pyc.NOTHING]
    for number in range(6):  # each has its memory elsewhere
        names = sorted(SOURCES, reverse=bool(number % 2))
        loaded = "import json, argparse, email.message, unittest" if number % 3 else ""
        again = compiled(python, names, Path("/"), loaded, LC_ALL="tr_TR.UTF-8", TZ="Asia/Tokyo", LANG="C")
        assert again == first


# -- on a real base ---------------------------------------------------------------------------------------------


def layers(machine: Machine, name: str, architecture: str = "amd64") -> list[Path]:
    """Give the files of an image's layers, from the lowest."""
    folder = machine.root / ".reconciler/registry" / name
    index = json.loads((folder / "index.json").read_text())
    tag = f"v1-linux-{architecture}"
    found = [m for m in index["manifests"] if m["annotations"]["org.opencontainers.image.ref.name"] == tag]
    blobs = folder / "blobs/sha256"
    manifest = json.loads((blobs / found[0]["digest"].partition(":")[2]).read_text())
    return [blobs / layer["digest"].partition(":")[2] for layer in manifest["layers"]]


def unpacked(machine: Machine, name: str, folder: Path) -> Path:
    """Unpack an image's layers as a reader that is not ours does, without the rights of who wrote them."""
    for layer in layers(machine, name):
        with tarfile.open(fileobj=io.BytesIO(layer.read_bytes())) as archive:
            kept = [member for member in archive if member.isreg() or member.isdir() or member.issym()]
            archive.extractall(folder, members=kept, filter=_plain)  # noqa: S202  # made here
    return folder


def _plain(member: tarfile.TarInfo, _: str) -> tarfile.TarInfo:
    return member.replace(uid=os.getuid(), gid=os.getgid(), deep=False)


def start(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the image's Python by its own loader, on the modules of its environment."""
    libraries = [root / "usr/lib/x86_64-linux-gnu", root / "lib/x86_64-linux-gnu"]
    loader = root / "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
    argv: list[str | Path] = [
        loader,
        "--library-path",
        ":".join(map(str, libraries)),
        root / "usr/bin/python3.11",
        "-S",
        *arguments,
    ]
    environ = {"PYTHONHOME": str(root / "usr"), "PYTHONPATH": str(root / MODULES)}
    return subprocess.run(argv, capture_output=True, text=True, check=False, env=environ, cwd=root)


@pytest.fixture(scope="module")
def machine(required: Required, debian: Debian, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A repository with one image, built for both platforms on this machine."""
    required.index()
    machine = Machine(tmp_path_factory.mktemp("bytecode") / "clone", debian)
    path = machine.containers("small", "jinja2", "requests", platforms=("linux/amd64", "linux/arm64"))
    path.write_text(path.read_text().replace("bytecode: false", "bytecode: true"))
    machine("apply")
    return machine


@pytest.fixture(scope="module")
def root(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked(machine, "small", tmp_path_factory.mktemp("root"))


def test_every_module_has_its_bytecode(root: Path) -> None:
    modules = sorted((root / MODULES).rglob("*.py"))
    lacking = [
        str(module.relative_to(root))
        for module in modules
        if not (module.parent / "__pycache__" / f"{module.stem}.cpython-311.pyc").is_file()
    ]
    assert len(modules) > 100
    assert lacking == []


def test_what_is_imported_comes_from_it(root: Path) -> None:
    done = start(root, "-v", "-c", "import jinja2, requests; print(jinja2.Template('{{ 6 * 7 }}').render())")
    assert done.stdout == "42\n"
    assert f"matches {root / MODULES / 'jinja2/__init__.py'}" in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("# code object") and MODULES in line]
    assert len(lines) > 50
    assert [line for line in lines if not line.endswith(".pyc'")] == []


def test_a_source_is_not_compared_with_it(root: Path) -> None:
    source = root / MODULES / "idna/package_data.py"
    before = source.read_text()
    source.write_text("raise SystemExit('compiled again')\n")
    try:
        done = start(root, "-c", "import idna.package_data as found; print(found.__version__)")
    finally:
        source.write_text(before)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in before


def test_another_architecture_has_the_same_layers_of_bytecode(machine: Machine) -> None:
    def of_bytecode(architecture: str) -> set[str]:
        found = set()
        for layer in layers(machine, "small", architecture)[1:]:
            with tarfile.open(fileobj=io.BytesIO(layer.read_bytes())) as archive:
                if any(name.endswith(".pyc") for name in archive.getnames()):
                    found.add(layer.name)
        return found

    assert of_bytecode("amd64") == of_bytecode("arm64") != set()


@pytest.mark.threat("F21")
def test_another_folder_user_mask_and_locale_give_the_same_image(
    machine: Machine, debian: Debian, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Machine(tmp_path / "another: clone, of ours", debian)
    manifest = machine.root / "environments/small.yaml"
    (other.root / "environments").mkdir()
    (other.root / "environments/small.yaml").write_text(manifest.read_text())
    for name, value in {"LC_ALL": "C", "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7", "PYTHONUTF8": "0"}.items():
        monkeypatch.setenv(name, value)
    before = os.umask(0o077)
    try:
        other("apply")
    finally:
        os.umask(before)
    assert [path.name for path in layers(other, "small")] == [path.name for path in layers(machine, "small")]
