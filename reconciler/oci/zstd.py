"""Zstandard (RFC 8878), unpacked piece by piece: bounded, never trusted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reconciler.errors import CorruptError
from reconciler.oci.inflate import Bound

MAX_FRAME_WINDOW = 128 << 20
"""Bytes that a frame may look back; ``zstd --long`` writes frames of that."""
_WINDOW = 1 << 11
"""Bytes that are unpacked at once: four bytes may give 128 KiB (RFC 8878, 3.1.1.2.2), so that these give 64 MiB."""


def unzstd(chunks: Iterable[bytes], what: str) -> Iterator[bytes]:
    """Unpack frames that stand one after another; damage and bombs are CorruptErrors that begin with ``what``."""
    import zstandard  # noqa: PLC0415  # start-up: only what is packed so pays

    unpacker = zstandard.ZstdDecompressor(max_window_size=MAX_FRAME_WINDOW)
    bound, frame = Bound(what=what), unpacker.decompressobj()
    try:
        for window in bound.windows(chunks, _WINDOW):
            rest = window
            while rest:
                if frame.eof:
                    frame = unpacker.decompressobj()
                if piece := bound.check(frame.decompress(rest)):
                    yield piece
                rest = frame.unused_data if frame.eof else b""
    except zstandard.ZstdError as error:
        raise CorruptError(f"{what} can't be unpacked: {error}") from error
    if not frame.eof:
        raise CorruptError(f"{what} ends early")
