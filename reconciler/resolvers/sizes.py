"""How large the chosen files are, where uv doesn't say: a lock holds the size of every file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from reconciler.clients.http.index import Http
from reconciler.clients.http.transport import CONNECTIONS
from reconciler.clients.simple import path_of
from reconciler.errors import ResolveError
from reconciler.resolvers.pylock import Pin


def fetch_sizes(pins: Sequence[Pin], known: Mapping[str, int], http: Http) -> dict[Pin, int]:
    """Give each pin's size in bytes, several asked for at once; ``known`` are sizes by sha256.

    One that nothing tells is a ResolveError, a server that doesn't answer an UnavailableError.
    """
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        return dict(zip(pins, pool.map(lambda pin: _size(pin, known, http), pins), strict=True))


def _size(pin: Pin, known: Mapping[str, int], http: Http) -> int:
    if pin.size is not None:
        return pin.size
    if pin.sha256 in known:
        return known[pin.sha256]
    path = path_of(pin.url)
    size = http.size(pin.url) if path is None else _size_on_disk(path)
    if size is None:
        raise ResolveError(f"the index does not tell the size of {pin.file}")
    return size


def _size_on_disk(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
