"""Wheels are untrusted archives: what can be read in two ways, or is not what it says, is refused in one line."""

from __future__ import annotations

import io
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable

import pytest

from reconciler.errors import CorruptError
from reconciler.wheel.archive import Wheel, open_wheel
from tests.wheel_case import FILE, INFO, METADATA, PLAIN, WHEEL, Case, hash_of

LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
FIRST = "thing/__init__.py"


def opened(data: bytes, file: str = FILE) -> Wheel:
    return open_wheel(io.BytesIO(data), file)


def read_all(data: bytes, file: str = FILE) -> dict[str, bytes]:
    wheel = opened(data, file)
    return {entry.name: b"".join(wheel.read(entry)) for entry in wheel.entries}


def built(**parts: object) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile says that a name is there twice
        return Case(**parts).build()  # type: ignore[arg-type]  # what a test says


# -- what is right ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_every_file_is_given_with_its_bytes(method: int) -> None:
    case = Case(method=method)
    assert read_all(case.build()) == case.listed()


def test_large_files_come_in_pieces() -> None:
    data = bytes(5 << 20)
    wheel = opened(built(files={"big": data}, method=zipfile.ZIP_STORED))
    pieces = list(wheel.read(wheel.entries[0]))
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) <= 1 << 20


def test_an_archive_that_was_streamed_is_read_too() -> None:
    class Unseekable(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *given: int) -> int:
            raise io.UnsupportedOperation(str(given))

        def tell(self) -> int:
            raise io.UnsupportedOperation

    buffer = Unseekable()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in Case().listed().items():
            archive.writestr(name, data)
    assert read_all(buffer.getvalue())[FIRST] == PLAIN[FIRST]


def test_folders_are_no_files() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.mkdir("thing") if hasattr(archive, "mkdir") else archive.writestr("thing/", b"")
        for name, data in Case().listed().items():
            archive.writestr(name, data)
    assert set(read_all(buffer.getvalue())) == set(Case().listed())


def test_names_beyond_ascii_are_kept() -> None:
    files = {"thing/é.txt": b"1", "thing/日本.txt": b"2"}
    assert read_all(built(files=files)).items() >= files.items()


def test_names_and_versions_may_be_spelled_in_two_ways() -> None:
    metadata = METADATA.replace(b"thing", b"Thi.ng").replace(b"1.0", b"1")
    data = built(info="thi_ng-1.0.0.dist-info", metadata=metadata)
    assert opened(data, "thi_ng-1.0-py3-none-any.whl").metadata.name == "Thi.ng"


def test_other_strong_hashes_are_taken() -> None:
    from base64 import urlsafe_b64encode  # noqa: PLC0415  # only here
    from hashlib import sha512  # noqa: PLC0415  # the same

    digest = "sha512=" + urlsafe_b64encode(sha512(b"x").digest()).decode().rstrip("=")
    rows = [
        f"a,{digest},1",
        f"{INFO}/WHEEL,{hash_of(WHEEL)},",
        f"{INFO}/METADATA,{hash_of(METADATA)},",
        f"{INFO}/RECORD,,",
    ]
    assert read_all(built(files={"a": b"x"}, record="\n".join(rows).encode()))["a"] == b"x"


# -- what is refused --------------------------------------------------------------------------------------------


def named(name: str) -> Callable[[], bytes]:
    return lambda: built(files={**PLAIN, name: b"x"})


def changed(change: Callable[[bytearray], None], **parts: object) -> Callable[[], bytes]:
    def make() -> bytes:
        data = bytearray(built(**parts))
        change(data)
        return bytes(data)

    return make


def put(mark: bytes, offset: int, value: bytes) -> Callable[[bytearray], None]:
    """Overwrite a field of the first header of a kind."""

    def change(data: bytearray) -> None:
        place = data.index(mark) + offset
        data[place : place + len(value)] = value

    return change


def renamed_locally(data: bytearray) -> None:
    place = data.index(FIRST.encode())
    data[place : place + len(FIRST)] = FIRST.upper().encode()


def nul_in_names(data: bytearray) -> None:
    whole = bytes(data).replace(FIRST.encode(), FIRST[:-3].encode() + b"\0py")
    data[:] = whole


def overlapping(data: bytearray) -> None:
    """Let the second entry's directory line lead to the first entry."""
    first = data.index(CENTRAL)
    second = data.index(CENTRAL, first + 4)
    data[second + 42 : second + 46] = data[first + 42 : first + 46]


def longer(data: bytearray) -> None:
    """Let an entry claim the bytes of the one behind it."""
    for mark, offset in ((LOCAL, 18), (CENTRAL, 20)):
        place = data.index(mark) + offset
        (packed,) = struct.unpack_from("<I", data, place)
        struct.pack_into("<I", data, place, packed + 40)


def behind(data: bytearray) -> None:
    data += b"more"


def commented(data: bytearray) -> None:
    struct.pack_into("<H", data, data.index(END) + 20, 4)
    data += b"more"


def before(data: bytearray) -> None:
    data[:0] = b"#!/bin/sh\n"


def unlike_record(**hashes: str) -> Callable[[], bytes]:
    def make() -> bytes:
        rows = [f"{name},{hashes.get(name, hash_of(data))},{len(data)}" for name, data in PLAIN.items()]
        rows += [f"{INFO}/WHEEL,{hash_of(WHEEL)},", f"{INFO}/METADATA,{hash_of(METADATA)},", f"{INFO}/RECORD,,"]
        return built(record="\n".join(rows).encode())

    return make


def bomb() -> bytes:
    return built(files={"zeros": bytes(90 << 20)})


HOSTILE: dict[str, Callable[[], bytes]] = {
    "parent": named("../evil"),
    "parent inside": named("thing/../../evil"),
    "absolute": named("/etc/passwd"),
    "drive": named("C:/evil"),
    "backslash": named("thing\\..\\evil"),
    "dot": named("thing/./x"),
    "empty part": named("thing//x"),
    "line feed": named("thing/a\nb"),
    "escape": named("thing/\x1b[31m"),
    "delete": named("thing/\x7f"),
    "whiteout": named("thing/.wh.x"),
    "opaque whiteout": named("thing/.wh..wh..opq"),
    "nul": changed(nul_in_names),
    "file below a file": named(f"{FIRST}/x"),
    "twice": lambda: built(twice=FIRST),
    "record twice": lambda: built(twice=f"{INFO}/RECORD"),
    "link": lambda: built(modes={FIRST: stat.S_IFLNK | 0o777}),
    "device": lambda: built(modes={FIRST: stat.S_IFCHR | 0o666}),
    "pipe": lambda: built(modes={FIRST: stat.S_IFIFO | 0o666}),
    "socket": lambda: built(modes={FIRST: stat.S_IFSOCK | 0o666}),
    "folder that is a file": lambda: built(modes={FIRST: stat.S_IFDIR | 0o755}),
    "local name": changed(renamed_locally),
    "local method": changed(put(LOCAL, 8, b"\0\0")),
    "local crc": changed(put(LOCAL, 14, b"abcd")),
    "local packed size": changed(put(LOCAL, 18, b"\1\0\0\0")),
    "local size": changed(put(LOCAL, 22, b"\1\0\0\0")),
    "local flag": changed(put(LOCAL, 6, b"\1\0")),
    "local signature": changed(put(LOCAL, 0, b"PK\7\7")),
    "encrypted": changed(lambda data: (put(LOCAL, 6, b"\1\0")(data), put(CENTRAL, 8, b"\1\0")(data), None)[2]),
    "bzip2": lambda: built(method=zipfile.ZIP_BZIP2),
    "lzma": lambda: built(method=zipfile.ZIP_LZMA),
    "two entries at one place": changed(overlapping),
    "an entry into the next": changed(longer),
    "bytes behind": changed(behind),
    "a comment": changed(commented),
    "bytes before": changed(before),
    "cut short": lambda: built()[:-30],
    "half": lambda: built()[: len(built()) // 2],
    "empty": lambda: b"",
    "text": lambda: b"not an archive" * 10,
    "bomb": bomb,
    "crc": changed(lambda data: (put(LOCAL, 14, b"abcd")(data), put(CENTRAL, 16, b"abcd")(data), None)[2]),
    "declared smaller": changed(
        lambda data: (put(LOCAL, 22, b"\1\0\0\0")(data), put(CENTRAL, 24, b"\1\0\0\0")(data), None)[2]
    ),
    "declared larger": changed(
        lambda data: (put(LOCAL, 22, b"\xff\0\0\0")(data), put(CENTRAL, 24, b"\xff\0\0\0")(data), None)[2]
    ),
    "no RECORD": lambda: built(record=None),
    "RECORD lacks a file": lambda: built(record=f"{INFO}/RECORD,,\n".encode()),
    "RECORD has another hash": unlike_record(**{FIRST: hash_of(b"other")}),
    "RECORD has no hash": unlike_record(**{FIRST: ""}),
    "RECORD has a weak hash": unlike_record(**{FIRST: "md5=abc"}),
    "RECORD has lines of two fields": lambda: built(record=b"a,b\n"),
    "RECORD is not UTF-8": lambda: built(record=b"\xff\xfe,,\n"),
    "no WHEEL": lambda: built(wheel=None),
    "a newer form": lambda: built(wheel=WHEEL.replace(b"1.0", b"2.0")),
    "no form": lambda: built(wheel=b"Generator: test\n"),
    "no METADATA": lambda: built(metadata=None),
    "another name": lambda: built(metadata=METADATA.replace(b"thing", b"other")),
    "another version": lambda: built(metadata=METADATA.replace(b"1.0", b"2.0")),
    "no version": lambda: built(metadata=b"Name: thing\n"),
    "another folder": lambda: built(info="other-1.0.dist-info"),
    "two folders": lambda: built(files={**PLAIN, "other-1.0.dist-info/METADATA": b""}),
    "no folder": lambda: built(info="thing-1.0.egg-info"),
    "command that is a path": lambda: built(points=b"[console_scripts]\n../evil = thing:main\n"),
    "command that is hidden": lambda: built(points=b"[console_scripts]\n.evil = thing:main\n"),
    "function that is code": lambda: built(points=b"[console_scripts]\nx = thing:main();import os\n"),
    "entry points that can't be read": lambda: built(points=b"[console_scripts\nx = y"),
}


@pytest.mark.threat("T8")
@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_a_hostile_wheel_is_refused_in_one_line_that_names_it(name: str) -> None:
    data = HOSTILE[name]()
    with pytest.raises(CorruptError) as refused:
        read_all(data)
    assert FILE in refused.value.message
    assert "\n" not in refused.value.message
    assert "\x1b" not in refused.value.message


@pytest.mark.threat("T8")
@pytest.mark.parametrize(
    "file", ["thing.whl", "thing-1.0.zip", "other-1.0-py3-none-any.whl", "thing-2.0-py3-none-any.whl"]
)
def test_a_wheel_under_another_name_is_refused(file: str) -> None:
    with pytest.raises(CorruptError, match="thing"):
        opened(Case().build(), file)
