"""The virtual environment of an image on its base's interpreter, as ``python -m venv`` would make it (PEP 405)."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.assembly.place import PREFIX
from reconciler.lock.model import PlatformLock
from reconciler.oci.member import Member, file_of, folder_of, link_of

_ACTIVATE = """\
# Use it with `. {prefix}/bin/activate`; in this image it is active already.
deactivate () {{
    PATH="$_VENV_PATH"
    export PATH
    unset VIRTUAL_ENV _VENV_PATH
    unset -f deactivate
}}
_VENV_PATH="$PATH"
VIRTUAL_ENV={prefix}
PATH="$VIRTUAL_ENV/bin:$PATH"
export PATH VIRTUAL_ENV
"""


def minor_of(version: str) -> str:
    """Give ``3.11`` of ``3.11.7``."""
    return ".".join(version.split(".")[:2])


def site_packages(version: str) -> str:
    """Say where packages are, relative to the environment."""
    return f"lib/python{minor_of(version)}/site-packages"


def environment_of(lock: PlatformLock, *, inherits: bool) -> Iterator[Member]:
    """Give the environment's own files; ``inherits`` says whether the base's packages are seen through it."""
    assert lock.base is not None  # noqa: S101  # an image has one
    version, python = lock.interpreter.version, f"/{lock.base.python}"
    folder = python.rpartition("/")[0] or "/"
    settings = (
        f"home = {folder}\n"
        f"include-system-site-packages = {'true' if inherits else 'false'}\n"
        f"version = {version}\n"
        f"executable = {python}\n"
        f"command = {python} -m venv /{PREFIX}\n"
    )
    yield file_of(f"{PREFIX}/pyvenv.cfg", settings.encode())
    yield link_of(f"{PREFIX}/bin/python", python)
    yield link_of(f"{PREFIX}/bin/python3", "python")
    yield link_of(f"{PREFIX}/bin/python{minor_of(version)}", "python")
    yield file_of(f"{PREFIX}/bin/activate", _ACTIVATE.format(prefix=f"/{PREFIX}").encode())
    yield link_of(f"{PREFIX}/lib64", "lib")
    yield folder_of(f"{PREFIX}/{site_packages(version)}")
