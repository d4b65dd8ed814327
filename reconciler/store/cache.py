"""Derived values by key, kept between runs; whatever is damaged, foreign or lost is derived again.

Entries are lines in one of 256 files, chosen by the key's hash. A line carries a checksum of its key and value, so
that a torn or altered one is not there, and nothing has to be forced to the disk. A file is replaced in one step, so
that readers need no lock; of two processes that write one file at once the later may drop what the earlier added,
which costs time and changes no result.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from threading import Lock

from reconciler.errors import StoreError
from reconciler.store.durable import make_folders, replace_file, sweep
from reconciler.store.reading import open_folder, read_plain
from reconciler.values.canonical import Json

MAX_BYTES = 256 << 20
_FORMAT = b"reconciler cache 1"
_SHARDS = 256
_HEX = 32


class Cache:
    """The cache in the folder ``path``, of at most ``max_bytes``; the oldest entries make room."""

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self._path = path
        self._shard_bytes = max_bytes // _SHARDS
        self._shards: dict[str, dict[bytes, bytes]] = {}
        self._guard = Lock()

    def get(self, key: str) -> Json | None:
        """Give the value, none where it is not there or was damaged."""
        name = _hash(key.encode("utf-8", "surrogatepass"))
        shard = self._shards.get(name[:2].decode())
        if shard is None:
            shard = self._shards.setdefault(name[:2].decode(), self._read(name[:2].decode()))
        line = shard.get(name)
        return None if line is None else _parse(line, key)

    def put_many(self, values: Mapping[str, Json]) -> None:
        """Keep values that are no JSON ``null``; a disk that refuses is a cache that does not help, and no error."""
        added: defaultdict[str, dict[bytes, bytes]] = defaultdict(dict)
        for key, value in values.items():
            name = _hash(key.encode("utf-8", "surrogatepass"))
            added[name[:2].decode()][name] = _to_line(name, key, value)
        if not added:
            return
        with self._guard, suppress(StoreError):
            make_folders(self._path)
            sweep(self._path)
            for shard in sorted(added):
                self._write(shard, added[shard])

    def _read(self, shard: str) -> dict[bytes, bytes]:
        try:
            with open_folder(str(self._path)) as folder:
                data = read_plain(shard, parent=folder, limit=self._shard_bytes)
        except OSError:
            return {}
        return {line[:_HEX]: line for line in data.split(b"\n") if len(line) > 2 * _HEX}

    def _write(self, shard: str, added: dict[bytes, bytes]) -> None:
        kept = {name: line for name, line in self._read(shard).items() if name not in added} | added
        size = sum(map(len, kept.values())) + len(kept)
        for name in list(kept):
            if size <= self._shard_bytes:
                break
            size -= len(kept.pop(name)) + 1
        replace_file(self._path / shard, b"\n".join([*kept.values(), b""]))
        self._shards[shard] = kept


def _hash(data: bytes) -> bytes:
    return blake2b(data, digest_size=_HEX // 2, person=_FORMAT[-16:]).hexdigest().encode()


def _to_line(name: bytes, key: str, value: Json) -> bytes:
    body = json.dumps([key, value], separators=(",", ":")).encode()
    return name + _hash(body) + body


def _parse(line: bytes, key: str) -> Json | None:
    body = line[2 * _HEX :]
    if _hash(body) != line[_HEX : 2 * _HEX]:
        return None
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, list) or len(found) != 2 or found[0] != key:  # noqa: PLR2004  # a key and its value
        return None
    value: Json = found[1]
    return value
