"""Which registry an address names."""

from __future__ import annotations

import re
from pathlib import Path

from reconciler.errors import ReconcilerError
from reconciler.ports import Registry
from reconciler.registries.layout import LayoutRegistry
from reconciler.store.content import ContentStore

FOLDER = ".reconciler"
DEFAULT = f"{FOLDER}/registry"
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:(?=//)")
# distribution-spec 1.1: a host has a dot or a port, or is localhost; a folder is written ./like.this/.
_HOST = re.compile(r"(?:localhost|[A-Za-z0-9][A-Za-z0-9-]*(?:\.[A-Za-z0-9-]+)+|[A-Za-z0-9-]+(?=:))(?::[0-9]+)?(?:/.*)?")


def open_registry(address: str, root: Path) -> Registry:
    """Give the registry at ``address``: a folder, relative to ``root``. Anything else is a ReconcilerError.

    The blobs of ``.reconciler/registry`` are shared with ``.reconciler/store``, those of any other folder with
    ``.store`` inside it, which is on the same file system.
    """
    if not address:
        raise ReconcilerError("an empty address names no registry", hint=f"the default is {DEFAULT}")
    if "\0" in address:
        raise ReconcilerError("an address with a NUL names no registry")
    if _SCHEME.match(address) or _HOST.fullmatch(address):
        raise ReconcilerError(
            f"{_without_credentials(address)}: registries over HTTP are not in this version",
            hint=f"name a folder, as {DEFAULT} or ./{DEFAULT}",
        )
    folder = root / Path(address).expanduser()
    store = folder.parent / "store" if folder.parent.name == FOLDER else folder / ".store"
    return LayoutRegistry(folder, store=ContentStore(store), address=address)


def _without_credentials(address: str) -> str:
    return re.sub(r"(?<=//)[^/@]*@", "", address)[:200]
