"""Credentials for registries, from where docker and podman keep them: their settings and their helpers.

The first of these that knows the host counts: docker's ``config.json`` (in ``$DOCKER_CONFIG``, else in
``~/.docker``), then podman's ``auth.json`` (``$REGISTRY_AUTH_FILE``, else ``$XDG_RUNTIME_DIR/containers/auth.json``).
In each of them a helper for the host comes before the helper for all, and that before what stands in the file itself
(docker's documentation, "Credential stores" and "Credential helpers"; containers-auth.json(5)).
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.clients.registry.helper import ask_helper
from reconciler.clients.registry.objects import mapping_of, parse_object, text_of
from reconciler.errors import DeniedError

MAX_FILE = 1 << 20
_IDENTITY = "<token>"


@dataclass(frozen=True, kw_only=True, slots=True)
class Credential:
    """Who we are at a registry: a user with a password, an identity token or a registry's own token.

    ``source`` says where it comes from, for people; nothing else of it is ever shown.
    """

    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)
    source: str = "docker's settings"


def find_credential(
    environ: Mapping[str, str], host: str, *, prefix: str = "", outside: Path | None = None
) -> Credential | None:
    """Find the credential for a registry's host (with its port where it has one); none where there is none.

    One for ``HOST/PREFIX``, or a folder above that, comes first. Helpers inside ``outside`` (the repository) are not
    run. Settings that can't be read and helpers that fail are a DeniedError.
    """
    parts = [part for part in prefix.split("/") if part]
    names = [f"{host}/{'/'.join(parts[:count])}".rstrip("/").lower() for count in range(len(parts), -1, -1)]
    for path in _files(environ, host):
        settings = _Settings(path, host, names)
        found = settings.from_helper(environ, outside) or settings.from_file()
        if found is not None:
            return found
    return None


def _files(environ: Mapping[str, str], host: str) -> Iterator[Path]:
    if folder := environ.get("DOCKER_CONFIG"):
        yield _absolute("DOCKER_CONFIG", folder, host) / "config.json"
    elif home := environ.get("HOME"):
        yield _absolute("HOME", home, host) / ".docker/config.json"
    if file := environ.get("REGISTRY_AUTH_FILE"):
        yield _absolute("REGISTRY_AUTH_FILE", file, host)
    elif folder := environ.get("XDG_RUNTIME_DIR"):
        yield _absolute("XDG_RUNTIME_DIR", folder, host) / "containers/auth.json"


def _absolute(name: str, value: str, host: str) -> Path:
    """Take a folder from a variable: a relative one would be a folder of whatever repository we are in."""
    path = Path(value)
    if not path.is_absolute():
        raise DeniedError(f"{name} is no absolute path, so credentials for {host} are not read", hint=f"mend {name}")
    return path


class _Settings:
    """One file of settings; ``names`` is what is looked for, the closest first."""

    def __init__(self, path: Path, host: str, names: list[str]) -> None:
        self._path = path
        self._host = host
        self._names = names
        try:
            data = _read(path)
            self._value = parse_object(data, limit=MAX_FILE) if data.strip() else {}
        except OSError as error:
            raise self._error(error.strerror or "it can't be read") from None
        except ValueError as error:
            raise self._error(str(error)) from None

    def from_helper(self, environ: Mapping[str, str], outside: Path | None) -> Credential | None:
        """Ask the helper that is named for the host, or the one for all; an empty name stands for the file."""
        try:
            named = self._entry(mapping_of(self._value, "credHelpers"))
            name = text_of(self._value, "credsStore") if named is None else named
        except ValueError as error:
            raise self._error(str(error)) from None
        if not isinstance(name, str):
            raise self._error("an entry of `credHelpers` is no text")
        answer = ask_helper(name, self._host, environ, outside=outside) if name else None
        if answer is None:
            return None
        user, secret = answer
        return self._credential(user, secret, source=f"docker-credential-{name}")

    def from_file(self) -> Credential | None:
        """Take what stands in the file itself."""
        try:
            entry = self._entry(mapping_of(self._value, "auths"))
            if entry is None:
                return None
            if not isinstance(entry, dict):
                raise ValueError("it is no object")  # noqa: TRY004, TRY301  # one kind of error for the whole entry
            names = ("username", "password", "auth", "identitytoken", "registrytoken")
            user, password, both, identity, registry = (text_of(entry, name) for name in names)
            if both:
                user, password = _decode(both)
        except ValueError as error:
            raise self._error(f"the entry for {self._host} can't be used: {error}") from None
        if registry:
            return Credential(registry_token=registry, source=str(self._path))
        if identity:
            return Credential(identity_token=identity, source=str(self._path))
        return self._credential(user, password, source=str(self._path))

    def _credential(self, user: str, secret: str, *, source: str) -> Credential | None:
        if user == _IDENTITY:
            return Credential(identity_token=secret, source=source) if secret else None
        if ":" in user:
            raise DeniedError(f"the user from {source} has a colon in its name, which HTTP can't say", hint=self._hint)
        return Credential(username=user, password=secret, source=source) if user or secret else None

    def _entry(self, entries: Mapping[str, object]) -> object:
        """Find the entry of the closest name, as it is written or as docker wrote it once: a whole address."""
        for name in self._names:
            found = entries.get(name)
            if found is not None:
                return found
            for key in entries:
                if _plain(key) == name and entries[key] is not None:
                    return entries[key]
        return None

    def _error(self, why: str) -> DeniedError:
        return DeniedError(f"{self._path}: {why}", hint=self._hint)

    @property
    def _hint(self) -> str:
        return f"mend the file, or sign in again: docker login {self._host}"


def _plain(key: str) -> str:
    """Take from an entry's name what older clients wrote around it: ``https://HOST/v1/`` is ``HOST``."""
    name = key.lower().removeprefix("https://").removeprefix("http://").rstrip("/")
    return name.removesuffix("/v1").removesuffix("/v2")


def _decode(text: str) -> tuple[str, str]:
    try:
        plain = base64.b64decode("".join(text.split()), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        raise ValueError("`auth` is no text in base64") from None
    user, colon, password = plain.partition(":")
    if not colon:
        raise ValueError("`auth` holds no user with a password")
    return user, password.strip("\0")


def _read(path: Path) -> bytes:
    """Read a file, at most one byte over the limit; empty where there is none. A FIFO is never waited for."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return b""
    with os.fdopen(number, "rb") as file:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise ValueError("it is no file")
        return file.read(MAX_FILE + 1)
