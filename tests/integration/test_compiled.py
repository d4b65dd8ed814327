"""Bytecode by an interpreter that a base brings and that really runs: which one it is, and what a bad one does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.builders.bytecode import BytecodeMaker
from reconciler.clients import pyc
from reconciler.errors import BuildError, ReconcilerError
from reconciler.lock.model import Base, Interpreter, PlatformLock
from reconciler.manifest.desired import Desired
from reconciler.manifest.model import Docker, Manifest, Python
from reconciler.oci.manifest import Index
from reconciler.oci.member import Member, file_of, whiteout_of
from reconciler.ports import Foundation, Task
from reconciler.registries.bases import ImageBases
from reconciler.registries.layout import LayoutRegistry
from reconciler.store.content import ContentStore
from reconciler.store.interpreters import InterpreterStore
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform
from tests.base_case import NoSystems, write_base
from tests.own_base import HERE, LOADER, MINOR, PYTHON, VERSION, own_root

MODULES = f"opt/venv/lib/python{MINOR}/site-packages"
THERE = Platform("linux", "arm64" if HERE.architecture == "amd64" else "amd64")
FILE = f"__pycache__/thing.cpython-{MINOR.replace('.', '')}.pyc"
MODULE = b"def known(x):\n    return x in {None, 'a', 'b'}\n"
OTHER = f"{MINOR}.99"

if HERE.os != "linux":
    pytest.skip("an image's interpreter runs on Linux", allow_module_level=True)


def no_registry(host: str) -> object:
    raise AssertionError(host)


@dataclass
class Compiling:
    """A repository with a base, and who compiles with its interpreter."""

    path: Path
    here: Platform = HERE
    limit_s: float = 60.0

    @property
    def maker(self) -> BytecodeMaker:
        spool = self.path / "spool"
        spool.mkdir(exist_ok=True)
        bases = ImageBases(connect=no_registry, root=self.path)  # type: ignore[arg-type]  # never asked
        store = InterpreterStore(path=self.path / "interpreters")
        return BytecodeMaker(
            bases=bases, systems=NoSystems(), interpreters=store, spool=spool, here=self.here, limit_s=self.limit_s
        )

    def base(self, others: Mapping[str, bytes] | None = None, *layers: Sequence[Member], tag: str = "latest") -> Digest:
        return write_base(self.path / "bases/own", own_root(others), *layers, platform=HERE, tag=tag)

    def task(self, platform: Platform = HERE, version: str = VERSION, tag: str = "latest", **rest: object) -> Task:
        base = Base(image=f"oci:bases/own:{tag}", digest=str(Digest.of(b"")), python=PYTHON)
        interpreter = Interpreter(implementation="cpython", version=version, abi="cp", provider="image")
        manifest = Manifest(
            name="small",
            path="environments/small.yaml",
            platforms=(platform,),
            python=Python(version=MINOR),
            docker=Docker(base_image=base.image),
        )
        return Task(
            desired=Desired(manifest=manifest, components={}, filled={}),
            platform=platform,
            lock=PlatformLock(interpreter=interpreter, libc="glibc 2.36", base=base),
            key=Digest.of(b"key"),
            **rest,  # type: ignore[arg-type]  # what a test says
        )

    def compile(self, task: Task, sources: Mapping[str, bytes] | None = None) -> dict[str, bytes]:
        found = [file_of(path, data) for path, data in (sources or {f"{MODULES}/thing.py": MODULE}).items()]
        with ExitStack() as opened:
            return {
                member.path: b"".join(member.read() if member.read else ())
                for member in self.maker.members(task, found, opened)
            }


@pytest.fixture
def world(tmp_path: Path) -> Compiling:
    return Compiling(tmp_path)


# -- what is compiled ---------------------------------------------------------------------------------------------


@pytest.mark.threat("F21")
def test_it_is_what_that_version_makes_of_it_anywhere(world: Compiling, tmp_path: Path) -> None:
    world.base()
    made = world.compile(world.task())
    assert made == {f"{MODULES}/{FILE}": pyc.pyc_of(MODULE, f"/{MODULES}/thing.py")}
    other = Compiling(tmp_path / "with spaces: and more")
    other.base()
    assert other.compile(other.task()) == made


def test_modules_alone_are_compiled(world: Compiling) -> None:
    world.base()
    sources = {
        f"{MODULES}/pack/__init__.py": b"",
        f"{MODULES}/pack/template.py": b"{% if name %}\n",
        f"{MODULES}/pack/data.txt": b"1\n",
        "opt/venv/bin/script.py": b"1\n",
        "opt/venv/share/thing.py": b"1\n",
    }
    assert [*world.compile(world.task(), sources)] == [f"{MODULES}/pack/{FILE.replace('thing', '__init__')}"]


def test_without_modules_no_base_is_opened(world: Compiling) -> None:
    assert world.compile(world.task(), {f"{MODULES}/data.txt": b""}) == {}


def test_the_interpreter_is_unpacked_once_and_found_again(world: Compiling) -> None:
    world.base()
    made = world.compile(world.task())
    for layer in sorted((world.path / "bases/own/blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)[-1:]:
        layer.unlink()
    assert world.compile(world.task()) == made


@pytest.mark.threat("T11")
def test_no_setting_of_this_machine_reaches_it(
    world: Compiling, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    planted = tmp_path / "planted"
    for name in ("sitecustomize", "usercustomize", "importlib", "encodings", "marshal", "warnings"):
        (planted / name).mkdir(parents=True)
        (planted / name / "__init__.py").write_text("raise SystemExit('planted')\n")
    world.base()
    for name in ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONUSERBASE", "LD_LIBRARY_PATH"):
        monkeypatch.setenv(name, str(planted))
    monkeypatch.setenv("LD_PRELOAD", str(planted / "none.so"))
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")
    monkeypatch.chdir(planted)
    assert world.compile(world.task()) == {f"{MODULES}/{FILE}": pyc.pyc_of(MODULE, f"/{MODULES}/thing.py")}


# -- which interpreter --------------------------------------------------------------------------------------------


def foundation(digest: Digest, version: str = VERSION) -> Foundation:
    return Foundation(manifest=digest, python=PYTHON, version=version)


def test_another_platform_is_compiled_for_by_this_ones_interpreter_as_locked(world: Compiling) -> None:
    pinned = world.base()
    world.base({LOADER: b"#!/bin/sh\nexit 9\n"})  # what the tag names now
    task = world.task(THERE, foundations={HERE: foundation(pinned)})
    assert world.compile(task) == {f"{MODULES}/{FILE}": pyc.pyc_of(MODULE, f"/{MODULES}/thing.py")}


def test_where_the_lock_has_no_such_platform_the_same_reference_is_looked_at(world: Compiling) -> None:
    world.base()
    lower = foundation(Digest.of(b"gone"), OTHER)
    for task in (world.task(THERE), world.task(THERE, foundations={HERE: lower})):
        assert len(world.compile(task)) == 1


def both(world: Compiling) -> Digest:
    """Write an index whose image for this machine is not there."""
    registry = LayoutRegistry(world.path / "bases", store=ContentStore(world.path / "bases/.store"))
    digest = write_base(world.path / "bases/own", [file_of("x", b"")], platform=THERE, tag="there")
    entry = registry.fetch("own", digest).describe(platform=THERE)
    registry.push("own", Index(manifests=(entry,), annotations={}).to_content(), tags=["latest"])
    return digest


@pytest.mark.parametrize("is_there", [True, False], ids=["another version", "no such platform"])
def test_where_no_such_interpreter_is_the_remedies_are_named(world: Compiling, is_there: bool) -> None:  # noqa: FBT001  # a case
    if is_there:
        world.base()
    else:
        both(world)
    with pytest.raises(BuildError) as refused:
        world.compile(world.task(THERE, version=OTHER))
    message, hint = refused.value.message, refused.value.hint or ""
    assert f"needs Python {OTHER} of the base oci:bases/own:latest for this machine, {HERE}" in message
    assert (VERSION in message) is is_there
    assert (f"add {HERE} to `platforms`" in hint, "bytecode: false" in hint) == (True, True)


def test_a_machine_that_is_not_linux_says_the_same(tmp_path: Path) -> None:
    world = Compiling(tmp_path, here=Platform("darwin", "arm64"))
    write_base(tmp_path / "bases/own", own_root(), platform=HERE)
    with pytest.raises(BuildError, match="for this machine, darwin/arm64"):
        world.compile(world.task())


def test_a_lock_of_another_version_is_told(world: Compiling) -> None:
    world.base()
    with pytest.raises(BuildError, match=rf"is {VERSION}, and the lock says {OTHER}"):
        world.compile(world.task(version=OTHER))


# -- layers -----------------------------------------------------------------------------------------------------


def test_what_later_layers_change_and_delete_counts(world: Compiling) -> None:
    folder, lower = f"usr/local/lib/python{MINOR}", b"raise SystemExit('lower')\n"
    below = own_root({f"{folder}/importlib/util.py": lower, f"{folder}/warnings/__init__.py": lower})
    mended = [member for member in own_root() if member.path == f"{folder}/importlib/util.py"]
    write_base(world.path / "bases/own", below, [*mended, whiteout_of(f"{folder}/warnings")], platform=HERE)
    assert len(world.compile(world.task())) == 1


LACKING: dict[str, tuple[Callable[[str], bool], str]] = {
    "interpreter": (lambda path: path == PYTHON, "the interpreter"),
    "library": (lambda path: path.startswith("usr/local/lib/"), "the standard library"),
    "libc": (lambda path: path.endswith("libc.so.6"), "libc.so.6, which"),
    "loader": (lambda path: path == LOADER, "the loader"),
}


@pytest.mark.parametrize("what", LACKING)
def test_what_a_base_lacks_is_named(world: Compiling, what: str) -> None:
    lacks, said = LACKING[what]
    members = [member for member in own_root() if not lacks(member.path)]
    write_base(world.path / "bases/own", members, platform=HERE)
    with pytest.raises(BuildError, match=f"lacks {said}"):
        world.compile(world.task())
    assert [path.name for path in (world.path / "interpreters").iterdir()] == [".lock"]


def greeted(rest: bytes) -> bytes:
    """Give a program that says what an interpreter says first, and then does something else."""
    text = f"{VERSION} cpython-{MINOR.replace('.', '')}".encode()
    return b"#!/bin/sh\nprintf 'T\\000\\000\\000\\%03o%s'\n%s\n" % (len(text), text, rest)


BAD = {
    "ends": (b"#!/bin/sh\necho it is broken >&2\nexit 3\n", "ended with status 3", "it is broken"),
    "is killed": (b"#!/bin/sh\nkill -9 $$\n", "ended with status -9", None),
    "floods": (b"#!/bin/sh\nexec yes\n", "answers 175704697 bytes", "y"),
    "floods its errors": (b"#!/bin/sh\nwhile :; do echo y >&2; done\n", "did not answer within 1 s", "y"),
    "hangs": (b"#!/bin/sh\nexec sleep 100\n", "did not answer within 1 s", None),
    "says nothing": (b"#!/bin/sh\nexec >&-\nexec sleep 100\n", "closed its output", None),
    "says something else": (b"#!/bin/sh\nprintf 'T\\000\\000\\000\\002hi'\n", "does not say what it is", None),
    "greets and ends": (greeted(b"exit 4"), "ended with status 4, asked to compile /opt/venv", None),
    "greets and hangs": (greeted(b"exec sleep 100"), "did not answer within 1 s, asked to compile /opt/venv", None),
    "greets and floods": (greeted(b"exec yes"), "answers 175704697 bytes, asked to compile", None),
    "answers another kind": (
        greeted(b"printf 'x\\000\\000\\000\\000'; exec sleep 100"),
        "answers what is no bytecode, asked to compile /opt/venv",
        None,
    ),
    "is no program": (b"no program", "cannot start", None),
}


@pytest.mark.threat("T9")
@pytest.mark.parametrize("what", BAD)
def test_a_bad_interpreter_is_one_line_and_leaves_no_process(world: Compiling, what: str) -> None:
    program, said, detail = BAD[what]
    world.limit_s = 1.0
    world.base({LOADER: program})
    before = threading.active_count()
    with pytest.raises(ReconcilerError) as refused:
        world.compile(world.task())
    assert said in refused.value.message
    assert "\n" not in refused.value.message
    assert detail is None or detail in (refused.value.detail or "")
    assert threading.active_count() == before
    assert not [path for path in Path("/proc").glob("[0-9]*/cwd") if str(world.path) in link(path)]


def link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""
