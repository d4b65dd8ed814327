"""The schemas that the reconciler ships: in the wheel beside the code, in a checkout at the top level."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import reconciler
from reconciler.errors import SourceError

_PACKAGE = Path(reconciler.__file__).resolve().parent
_FOLDERS = (_PACKAGE / "schemas", _PACKAGE.parent / "schemas")


@cache
def read_schema(name: str) -> str:
    """Read the text of ``environment``, ``config``, ``plan`` or ``lock``. One that is not there is a SourceError."""
    for folder in _FOLDERS:
        file = folder / f"{name}.schema.json"
        if file.is_file():
            return file.read_text(encoding="utf-8")
    raise SourceError(f"the schema {name!r} is not installed", hint="install the reconciler again")
