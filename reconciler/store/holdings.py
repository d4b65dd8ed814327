"""The folder of caches and made environments as `gc` sees it: what is there, how large, when it was used last.

::

    wheels/HEX.whl, built-HEX.json, .lock      layers/HEX.tar.gz, .json, .lock      interpreters/HEX/
    debs/HEX.deb, HEX.index                    pythons/HEX.tar.gz                   .lock
    hosts/NAME/HEX/, .lock                     cache/**/XX

No link is followed. What has another name or another form than what is kept there is somebody else's: it is named and
left alone.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from reconciler.plan.garbage import File, Gathered, Holding, Kind, Level, Link, Needs
from reconciler.store import usage
from reconciler.store.durable import TEMPORARY, disk_errors, remove_stale
from reconciler.store.hosts import MAKING, MARK

WAIT_S = 60.0
_HEX = r"[0-9a-f]{64}"
_WHEEL = re.compile(rf"({_HEX}(?=\.whl)|built-{_HEX}(?!\.whl))(\.whl|\.json|\.lock)")
_LAYER = re.compile(rf"({_HEX})(\.tar\.gz|\.json|\.lock)")
_PACKAGE = re.compile(rf"({_HEX})(\.deb|\.index)")
_PYTHON = re.compile(rf"({_HEX})(\.tar\.gz)")
_FOLDER = re.compile(_HEX)
_SHARD = re.compile(r"[0-9a-f]{2}")
_BYTES, _WHEEL_BYTES, _ABOUT, _LOCK = ".tar.gz", ".whl", ".json", ".lock"

_INTERPRETER = "reconciler-interpreter.json"
"""The mark of an interpreter that is whole; it is touched when it is used."""
Files = dict[str, os.stat_result]
"""What belongs together, by the ending of its name."""
Found = Iterator[Holding | str]
"""What is ours, and the paths of what is not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheFolder:
    """Everything below ``path`` but the registry and its store."""

    path: Path
    wait_s: float = WAIT_S

    def alone(self) -> AbstractContextManager[None]:
        """Keep everybody out who makes or uses something here; a ConflictError where they do not end in time."""
        return usage.alone(self.path, wait_s=self.wait_s) if self.path.is_dir() else nullcontext()

    def gather(self, needs: Needs) -> Gathered:
        """List what is there."""
        found = [
            *_wheels(self.path / "wheels", needs),
            *_packages(self.path / "debs", needs),
            *_pythons(self.path / "pythons", needs),
            *_layers(self.path / "layers", needs),
            *_environments(self.path / "hosts", needs),
            *_interpreters(self.path / "interpreters"),
            *_derived(self.path / "cache", "cache"),
        ]
        return Gathered(
            entries=tuple(one for one in found if isinstance(one, Holding)),
            foreign=tuple(one for one in found if isinstance(one, str)),
        )

    def take(self, entry: Holding) -> None:
        """Delete what :meth:`gather` listed."""
        path = Path(entry.place)
        with disk_errors(path, "remove"):
            if _WHEEL.fullmatch(path.name) or _LAYER.fullmatch(path.name):
                # What says that the others are there goes first.
                for ending in (_ABOUT, _BYTES, _WHEEL_BYTES, _LOCK):
                    path.with_name(f"{entry.name}{ending}").unlink(missing_ok=True)
            elif not stat.S_ISDIR(path.lstat().st_mode):
                _remove_file(path)
            else:
                _remove_folder(path)


def _remove_file(path: Path) -> None:
    if path.name.startswith(TEMPORARY):
        remove_stale(path)
    else:
        path.unlink(missing_ok=True)


def _remove_folder(path: Path) -> None:
    """Take a folder's name away first, so that it is never found in part."""
    if not path.name.startswith(MAKING):
        doomed = path.with_name(f"{MAKING}{secrets.token_hex(8)}")
        path.rename(doomed)
        path = doomed
    shutil.rmtree(path)


# -- what is there ----------------------------------------------------------------------------------------------


def _wheels(folder: Path, needs: Needs) -> Found:
    for key, files, stray in _grouped(folder, _WHEEL):
        yield from stray
        built, wheel = files.get(_ABOUT), files.get(_WHEEL_BYTES)
        if wheel is not None:
            level = Level.WANTED if key in needs.files else Level.SPARE
            yield _file(Kind.WHEEL, key, folder / f"{key}{_WHEEL_BYTES}", wheel, level)
        elif built is not None:
            yield _file(Kind.DERIVED, key, folder / f"{key}{_ABOUT}", built, Level.SPARE)
        elif files:
            yield _file(Kind.LEFTOVER, key, folder / f"{key}{_LOCK}", files[_LOCK], Level.WASTE)


def _packages(folder: Path, needs: Needs) -> Found:
    """List Debian packages, and indexes of archives, of which the newest is used before it is read again."""
    for key, files, stray in _grouped(folder, _PACKAGE):
        yield from stray
        for ending, found in files.items():
            kind = Kind.PACKAGE if ending == ".deb" else Kind.DERIVED
            level = Level.WANTED if key in needs.files else Level.SPARE
            yield _file(kind, key, folder / f"{key}{ending}", found, level)


def _pythons(folder: Path, needs: Needs) -> Found:
    for key, files, stray in _grouped(folder, _PYTHON):
        yield from stray
        for ending, found in files.items():
            level = Level.WANTED if key in needs.files else Level.SPARE
            yield _file(Kind.PYTHON, key, folder / f"{key}{ending}", found, level)


def _layers(folder: Path, needs: Needs) -> Found:
    for key, files, stray in _grouped(folder, _LAYER):
        yield from stray
        if files:
            yield _layer(folder, key, files, Level.WANTED if key in needs.layers else Level.SPARE)


def _layer(folder: Path, key: str, files: Files, level: Level) -> Holding:
    """Describe a layer; what lacks its bytes, or what says so, is nothing that can be found.

    Its size is that of its bytes: a layer whose bytes stay under another name frees nothing.
    """
    whole = {_BYTES, _ABOUT} <= files.keys()
    ending = _BYTES if _BYTES in files else next(iter(files))
    kind = Kind.LAYER if whole else Kind.LEFTOVER
    found = _file(kind, key, folder / f"{key}{ending}", files[ending], level if whole else Level.WASTE)
    return replace(found, used_s=max(file.st_mtime for file in files.values()))


def _grouped(folder: Path, names: re.Pattern[str]) -> Iterator[tuple[str, Files, tuple[Holding | str, ...]]]:
    """Give the files of a folder by the key in their name, and one by one what has no such name."""
    groups: dict[str, Files] = {}
    for path, found in entries_of(folder):
        match = names.fullmatch(path.name)
        if match is None or not stat.S_ISREG(found.st_mode):
            yield "", {}, (leftover(path, found),)
        else:
            groups.setdefault(match[1], {})[match[2]] = found
    for key, files in groups.items():
        yield key, files, ()


def _environments(folder: Path, needs: Needs) -> Found:
    for path, found in entries_of(folder):
        if not stat.S_ISDIR(found.st_mode):
            yield str(path)
            continue
        for inner, there in entries_of(path):
            if inner.name != ".lock":
                yield _environment(inner, there, needs)


def _environment(path: Path, found: os.stat_result, needs: Needs) -> Holding | str:
    mark = path / MARK
    if _FOLDER.fullmatch(path.name) is None or not stat.S_ISDIR(found.st_mode) or not _is_file(mark):
        return leftover(path, found)
    level = Level.NEEDED if usage.is_used(mark) else needs.level_of_environment(path.parent.name, path.name)
    return tree_of(Kind.ENVIRONMENT, f"{path.parent.name}/{path.name}", path, level, _used(mark, found))


def _interpreters(folder: Path) -> Found:
    for path, found in entries_of(folder):
        mark = path / _INTERPRETER
        if path.name == _LOCK and stat.S_ISREG(found.st_mode):
            continue
        if _FOLDER.fullmatch(path.name) is None or not stat.S_ISDIR(found.st_mode) or not _is_file(mark):
            yield leftover(path, found)
        else:
            yield tree_of(Kind.INTERPRETER, path.name, path, Level.SPARE, _used(mark, found))


def _derived(folder: Path, name: str) -> Found:
    for path, found in entries_of(folder):
        if stat.S_ISDIR(found.st_mode):
            yield from _derived(path, f"{name}/{path.name}")
        elif _SHARD.fullmatch(path.name) is None or not stat.S_ISREG(found.st_mode):
            yield leftover(path, found)
        else:
            yield _file(Kind.DERIVED, f"{name}/{path.name}", path, found, Level.WANTED)


# -- files ------------------------------------------------------------------------------------------------------


def entries_of(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """List a folder with what stands there, sorted; nothing where there is none, or a link."""
    with disk_errors(folder, "list"):
        if folder.is_symlink() or not folder.is_dir():
            return
        paths = sorted(folder.iterdir())
    for path in paths:
        with disk_errors(path, "read"), suppress(FileNotFoundError):
            yield path, path.lstat()


def leftover(path: Path, found: os.stat_result) -> Holding | str:
    """Describe what an interrupted writer left; anything else is not ours."""
    if path.name.startswith(TEMPORARY) and stat.S_ISREG(found.st_mode):
        return _file(Kind.LEFTOVER, path.name, path, found, Level.WASTE)
    if path.name.startswith(MAKING) and stat.S_ISDIR(found.st_mode):
        return tree_of(Kind.LEFTOVER, path.name, path, Level.WASTE, found.st_mtime)
    return str(path)


def _file(kind: Kind, name: str, path: Path, found: os.stat_result, level: Level) -> Holding:
    links = (link_of(found),) if found.st_nlink > 1 else ()
    size = 0 if links else found.st_size
    return Holding(kind=kind, name=name, place=str(path), used_s=found.st_mtime, level=level, size=size, links=links)


def link_of(found: os.stat_result, here: int = 1) -> Link:
    """Describe a file that has several names."""
    return Link(file=(found.st_dev, found.st_ino), size=found.st_size, names=found.st_nlink, here=here)


def tree_of(kind: Kind, name: str, path: Path, level: Level, used_s: float) -> Holding:
    """Describe a folder with everything in it."""
    size, links, here = 0, dict[File, Link](), Counter[File]()
    for found in _walk(path):
        if found.st_nlink == 1:
            size += found.st_size
            continue
        link = link_of(found)
        here[link.file] += 1
        links[link.file] = replace(link, here=here[link.file])
    return Holding(
        kind=kind, name=name, place=str(path), used_s=used_s, level=level, size=size, links=tuple(links.values())
    )


def _walk(path: Path) -> Iterator[os.stat_result]:
    """Give every file below a folder, links as links."""
    waiting = [str(path)]
    while waiting:
        with disk_errors(path, "list"), suppress(FileNotFoundError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    yield entry.stat(follow_symlinks=False)


def _is_file(path: Path) -> bool:
    with suppress(OSError):
        return stat.S_ISREG(path.lstat().st_mode)
    return False


def _used(mark: Path, otherwise: os.stat_result) -> float:
    with suppress(OSError):
        return mark.lstat().st_mtime
    return otherwise.st_mtime
