"""Layers are compressed by libdeflate: fast, and the same bytes on every machine (RFC 1951, RFC 1952).

``.github/decisions/0060-compressor.md`` says why this one. Blocks of 1 MiB are gzip members of their own, so that
memory is bounded, and so are files that somebody compressed already (``0068-compressed-files.md``); whoever reads them
one after another finds one stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import deflate

from reconciler.oci.member import Packed

BLOCK = 1 << 20
"""Bytes of input that a gzip member holds; part of what layers are a function of **[format]**."""
LEVEL = 1


def compress(chunks: Iterable[bytes | Packed]) -> Iterator[bytes]:
    """Compress, a gzip member a block; the result does not depend on how the input is cut into chunks.

    Other threads run meanwhile. What is empty becomes a member with nothing in it.
    """
    waiting, is_written = bytearray(), False
    for chunk in chunks:
        if isinstance(chunk, Packed):
            if waiting:
                yield bytes(deflate.gzip_compress(bytes(waiting), LEVEL))
                waiting.clear()
            is_written = True
            yield chunk.packed
            continue
        waiting += chunk
        while len(waiting) >= BLOCK:
            yield bytes(deflate.gzip_compress(bytes(waiting[:BLOCK]), LEVEL))
            is_written = True
            del waiting[:BLOCK]
    if waiting or not is_written:
        yield bytes(deflate.gzip_compress(bytes(waiting), LEVEL))
