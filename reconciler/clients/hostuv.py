"""uv, as the host builder asks it: its errors mapped."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from reconciler.clients import child
from reconciler.errors import BuildError, ReconcilerError, StoreError, UnavailableError

_DISK = re.compile(
    r"No space left on device|quota exceeded|Read-only file system|Too many open files|os error 5\)", re.IGNORECASE
)
_NO_ANSWER = re.compile(
    r"error sending request|dns error|Connection refused|timed out|tcp connect error", re.IGNORECASE
)
_ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s`'\")>]+", re.IGNORECASE)


class Uv:
    """uv's binary, run in an empty folder."""

    def run(self, arguments: Sequence[str], *, variables: Mapping[str, str] | None = None) -> child.Done:
        """Run uv."""
        from uv import find_uv_bin  # noqa: PLC0415  # found only when it is used

        environ = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"} | dict(variables or {})
        with tempfile.TemporaryDirectory(prefix="reconciler-uv-") as folder:
            return child.run([find_uv_bin(), *arguments], folder=Path(folder), environ=environ)


def failure(what: str, stderr: str) -> ReconcilerError:
    """Turn what uv said into an error, with no address in it: one may hold a password."""
    said = _ADDRESS.sub("<address>", stderr).strip()
    if _DISK.search(said):
        return StoreError(f"the disk refused {what}", hint="free space and run it again", detail=said)
    if _NO_ANSWER.search(said):
        return UnavailableError("the package index does not answer", hint="try again later, or check uv's settings")
    line = next((line for line in said.splitlines() if line.startswith("error: ")), "error: it did not say why")
    return BuildError(f"uv could not make {what}: {line.removeprefix('error: ')}", detail=said)
