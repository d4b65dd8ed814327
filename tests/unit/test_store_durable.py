from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import StoreError
from reconciler.oci import media
from reconciler.oci.descriptor import Descriptor
from reconciler.oci.image import side_entry
from reconciler.registries.layout import LayoutRegistry
from reconciler.registries.opened import make_layout
from reconciler.store.content import ContentStore
from reconciler.store.durable import link_file, make_folders, sweep, write_file
from reconciler.values.digest import Digest

Event = tuple[str, ...]


class Recorder:
    """Writes down, in order, what the process asks of the file system."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events: list[Event] = []
        self.paths: dict[int, str] = {}
        originals = {
            name: getattr(os, name) for name in ("open", "write", "fsync", "replace", "rename", "link", "mkdir")
        }

        def recorded(name: str, describe: Callable[..., Event]) -> None:
            def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # stands for any function of os
                result = originals[name](*args, **kwargs)
                self.events.append(describe(*args))
                return result

            monkeypatch.setattr(os, name, call)

        def opened(path: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # the same
            file = originals["open"](path, *args, **kwargs)
            self.paths[file] = str(path)
            return file

        monkeypatch.setattr(os, "open", opened)
        recorded("write", lambda file, _: ("write", self.paths[file]))
        recorded("fsync", lambda file: ("sync", self.paths[file]))
        recorded("replace", lambda source, target: ("rename", str(source), str(target)))
        recorded("rename", lambda source, target: ("rename", str(source), str(target)))
        recorded("link", lambda source, target: ("link", str(source), str(target)))
        recorded("mkdir", lambda path, *_: ("mkdir", str(path)))

    def check(self) -> None:
        """Check that no name points at what is not on the disk, and that every name is on the disk at the end."""
        named = 0
        for place, event in enumerate(self.events):
            if event[0] not in ("rename", "link", "mkdir"):
                continue
            named += 1
            before, after = self.events[:place], self.events[place + 1 :]
            target = Path(event[-1])
            if event[0] == "rename":
                for path in {each[1] for each in before if each[0] == "write" and each[1].startswith(event[1])}:
                    steps = [each for each in before if each in (("write", path), ("sync", path))]
                    assert steps[-1] == ("sync", path), f"{path} is named before it is on the disk"
                assert ("write", str(target)) not in self.events, f"{target} is written in place"
            if not target.name.startswith(".tmp-"):
                assert ("sync", str(target.parent)) in after, f"the name of {target} is not forced to the disk"
        assert named


def old(path: Path) -> Path:
    path.write_bytes(b"old")
    return path


def unforced(path: Path) -> Path:
    path.write_bytes(b"x" + b"y" * 100)
    return path


STREAM = Descriptor(media_type=media.LOCK, digest=Digest.of(b"x" + b"y" * 100), size=101)


def pieces() -> Iterator[bytes]:
    return iter((b"x", b"y" * 100))


def damaged(at: Path) -> Path:
    return old(ContentStore(at).path_of(ContentStore(at).put(b"x" + b"y" * 100)))


WRITES: dict[str, Callable[[Path], Callable[[], object]]] = {
    "a new file": lambda at: lambda: write_file(at / "f", b"new"),
    "a file over another": lambda at: (old(at / "f"), lambda: write_file(at / "f", b"new"))[1],
    "an empty file": lambda at: lambda: write_file(at / "f", b""),
    "a second name": lambda at: (old(at / "s"), lambda: link_file(at / "s", at / "f"))[1],
    "a second name over another": lambda at: (old(at / "s"), old(at / "f"), lambda: link_file(at / "s", at / "f"))[2],
    "folders": lambda at: lambda: make_folders(at / "a" / "b" / "c"),
    "a layout": lambda at: lambda: make_layout(at / "training"),
    "content": lambda at: lambda: ContentStore(at).put(b"x" * 100),
    "a stream": lambda at: lambda: ContentStore(at).put_stream(STREAM, pieces),
    "a stream over damaged content": lambda at: (damaged(at), lambda: ContentStore(at).put_stream(STREAM, pieces))[1],
    "a file that is kept": lambda at: (unforced(at / "s"), lambda: ContentStore(at).adopt(STREAM, at / "s"))[1],
    "a blob": lambda at: lambda: registry(at).push_blob("training", side_entry(media.LOCK, b"x").blobs[0]),
    "an image and its tags": lambda at: lambda: push(registry(at), "x", "v1", "current"),
    "a tag that moves": lambda at: moving(registry(at)),
}


def test_a_file_is_on_the_disk_before_it_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = unforced(tmp_path / "s")
    recorder = Recorder(monkeypatch)
    ContentStore(tmp_path).adopt(STREAM, file)
    linked = next(place for place, event in enumerate(recorder.events) if event[0] == "link")
    assert ("sync", str(file)) in recorder.events[:linked]


def registry(at: Path) -> LayoutRegistry:
    return LayoutRegistry(at / "registry", store=ContentStore(at / "store"))


def push(to: LayoutRegistry, text: str, *tags: str) -> None:
    made = side_entry(media.LOCK, text.encode())
    for blob in made.blobs:
        to.push_blob("training", blob)
    to.push("training", made.manifest, tags=tags)


def moving(to: LayoutRegistry) -> Callable[[], object]:
    push(to, "x", "v1")
    return lambda: push(to, "y", "v1", "v2")


@pytest.mark.threat("F2")
@pytest.mark.parametrize("what", WRITES)
def test_nothing_has_a_name_before_it_is_on_the_disk(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = WRITES[what](tmp_path)
    recorder = Recorder(monkeypatch)
    work()
    monkeypatch.undo()
    recorder.check()


def test_a_write_replaces_what_was_there_and_leaves_nothing_else(tmp_path: Path) -> None:
    for data in (b"", b"one", b"two" * 1_000_000):
        write_file(tmp_path / "f", data)
        assert (tmp_path / "f").read_bytes() == data
    assert os.listdir(tmp_path) == ["f"]  # noqa: PTH208  # names are what is compared


@pytest.mark.parametrize("there", [True, False])
def test_a_second_name_is_the_same_file(tmp_path: Path, there: bool) -> None:  # noqa: FBT001  # a case
    source = old(tmp_path / "s")
    if there:
        (tmp_path / "f").write_bytes(b"other")
    for _ in range(2):
        link_file(source, tmp_path / "f")
        assert (tmp_path / "f").samefile(source)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f", "s"]


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EMLINK, errno.EPERM])
def test_where_there_are_no_second_names_a_file_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr(os, "link", refuse)
    link_file(old(tmp_path / "s"), tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == b"old"


@pytest.mark.threat("F1")
def test_left_over_files_are_swept_and_those_being_written_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".tmp-left").write_bytes(b"half")
    old(tmp_path / "kept")
    swept: list[int] = []
    fsync = os.fsync

    def sweep_meanwhile(file: int) -> None:
        swept.append(sweep(tmp_path))
        fsync(file)

    monkeypatch.setattr(os, "fsync", sweep_meanwhile)
    write_file(tmp_path / "f", b"new")
    assert swept == [1, 0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f", "kept"]
    assert sweep(tmp_path / "nothing") == 0


FAULTS = [
    (number, call)
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EMFILE, errno.ENFILE, errno.EIO)
    for call in ("open", "write", "fsync", "replace", "mkdir", "link")
    # Without hard links, or with no more of them, files are copied.
    if (number, call) != (errno.EACCES, "link")
]


@pytest.mark.threat("F15")
@pytest.mark.parametrize(("number", "call"), FAULTS)
def test_what_the_disk_refuses_leaves_the_old_state_and_a_rerun_converges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, call: str
) -> None:
    push(registry(tmp_path), "old", "v1", "current")
    original = getattr(os, call)
    calls = failures = 0
    while True:
        left = failures

        def fail(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # stands for any function of os
            nonlocal left, calls
            calls += 1
            if left == 0:
                raise OSError(number, "injected")
            left -= 1
            return original(*args, **kwargs)

        monkeypatch.setattr(os, call, fail)
        try:
            push(registry(tmp_path), f"new {failures}", "v2", "current")
        except StoreError as error:
            said = error
        else:
            break
        finally:
            monkeypatch.setattr(os, call, original)
        failures += 1
        assert os.strerror(number) in said.message
        assert str(tmp_path) in said.message
        assert said.hint
        assert "\n" not in str(said)
        assert registry(tmp_path).fetch("training", "v1").digest
        assert set(registry(tmp_path).tags("training")) in ({"v1", "current"}, {"v1", "v2", "current"})
    assert registry(tmp_path).fetch("training", "current").digest == registry(tmp_path).resolve("training", "v2")
    assert list(tmp_path.rglob(".tmp-*")) == []
