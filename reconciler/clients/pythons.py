"""Builds of a standalone CPython (python-build-standalone), as this machine's uv knows them.

Where they are taken from is what uv's own settings say: ``UV_PYTHON_INSTALL_MIRROR``, ``UV_PYTHON_DOWNLOADS_JSON_URL``,
and the settings of these names in its configuration. A mirror may be a folder (``file://``).
"""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from reconciler.clients.http.index import Http, like
from reconciler.clients.http.transport import without_credentials
from reconciler.clients.indexes import read_index_settings
from reconciler.clients.installer import ADDRESS, run_uv
from reconciler.clients.simple import file_of, path_of
from reconciler.clients.uv import Uv, read_configuration
from reconciler.errors import DeniedError, NotFoundError, ReconcilerError, ResolveError, SourceError, UnavailableError
from reconciler.values.pep import parse_version
from reconciler.values.platform import Platform

MIRROR, DOWNLOADS, POLICY = "UV_PYTHON_INSTALL_MIRROR", "UV_PYTHON_DOWNLOADS_JSON_URL", "UV_PYTHON_DOWNLOADS"
MACHINES: Mapping[str, str] = {"amd64": "x86_64", "arm64": "aarch64"}
"""How builds call the architectures of images."""
LIMIT_S = 1800.0
_KEYS = {MIRROR: "python-install-mirror", DOWNLOADS: "python-downloads-json-url", POLICY: "python-downloads"}
_LIST = ("python", "list", "--only-downloads", "--all-versions", "--output-format", "json")
_ENDINGS = (".tar.gz", ".tar.zst")
_RELEASE = re.compile(r"(?<![0-9])[0-9]{8}(?:T[0-9]{4,6})?(?![0-9])")
_EXPECTED = re.compile(r"Expected:\s+([0-9a-f]{64})\b")
_SUM = re.compile(r"([0-9a-f]{64})(?:\s+\*?(\S+))?\s*")
_CHUNK = 1 << 20
_HINT = f"set {MIRROR} to where this machine can have builds of python-build-standalone"


@dataclass(frozen=True, kw_only=True, slots=True)
class Build:
    """One archive: the exact version in it, the release of its builds (``20240107``), its name, and where it is.

    ``key`` is how uv calls it; ``url`` may hold a password.
    """

    key: str
    version: str
    release: str
    file: str
    url: str = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pythons:
    """Asks uv, and reads what it names."""

    uv: Uv

    def builds(self, version: str, platform: Platform) -> tuple[Build, ...]:
        """List the builds of a version (``3.12``, ``3.12.1``) for a platform, the newest first, without pre-releases.

        Where uv forbids to download a Python, or does not answer, it is a ResolveError.
        """
        if self._setting(POLICY) == "never":
            raise ResolveError(
                "uv's settings on this machine forbid to download a Python", hint=f"change python-downloads or {POLICY}"
            )
        machine = MACHINES.get(platform.architecture, platform.architecture)
        done = run_uv(self.uv, [*_LIST, f"cpython-{version}-linux-{machine}-gnu"], variables=self._variables())
        try:
            listed = json.loads(done.stdout) if not done.status else None
            found = [build for entry in listed for build in self._build(entry)] if isinstance(listed, list) else None
        except (ValueError, KeyError, TypeError):
            found = None
        if found is None:
            raise ResolveError(
                "uv does not say which builds of Python there are", detail=ADDRESS.sub("<address>", done.stderr) or None
            )
        return tuple(sorted(found, key=lambda build: parse_version(build.version), reverse=True))

    def place_of(self, file: str, version: str, platform: Platform) -> str:
        """Say where an archive is; a release that uv does not list any more is beside those that it lists."""
        release = _release(file)
        builds = self.builds(version, platform) or self.builds("3", platform)
        for build in builds:
            if build.file == file:
                return build.url
        for build in builds:
            ending = f"/{build.release}/{quote(build.file)}"
            if release and build.url.endswith(ending):
                return f"{build.url.removesuffix(ending)}/{release}/{quote(file)}"
        raise NotFoundError(f"uv names no place that has {file}", hint="`reconciler lock --upgrade-base` takes another")

    def sha256_of(self, build: Build) -> tuple[str, str]:
        """Give what an archive's sha256 has to be, and who says so; both empty where nobody does."""
        listed = self._setting(DOWNLOADS)
        if listed:
            found, who = self._listed(listed, build.file), "the list of builds that uv is set up with"
        else:
            found, who = self._expected(build), "uv"
        if found:
            return found, who
        for name in (f"{build.file}.sha256", "SHA256SUMS"):
            found = self._beside(build, name)
            if found:
                return found, f"{name} beside it"
        return "", ""

    def stream(self, url: str, file: str) -> Iterator[bytes]:
        """Give an archive's bytes as they come; where it can't be had, an error names the setting to change."""
        try:
            yield from self._read(url)
        except NotFoundError as error:
            raise NotFoundError(f"{file} is not where uv's settings say", hint=_HINT) from error
        except DeniedError as error:
            raise DeniedError(f"{file}: access is refused", hint=f"check {MIRROR} and its credentials") from error
        except (UnavailableError, SourceError) as error:
            raise UnavailableError(f"{file} can't be had: no answer from where uv takes Pythons", hint=_HINT) from error

    # -- settings -----------------------------------------------------------------------------------------------

    def _setting(self, name: str) -> str:
        """Read one of uv's settings: the variable, else its configuration."""
        value = self.uv.environ.get(name) or read_configuration(self.uv.environ).get(_KEYS[name])
        return value if isinstance(value, str) else ""

    def _variables(self) -> dict[str, str]:
        """Give what uv has to know besides what it reads in its configuration, and is not told otherwise."""
        settings = read_index_settings(self.uv.environ, outside=self.uv.outside)
        own = {name: self.uv.environ[name] for name in (MIRROR, DOWNLOADS) if self.uv.environ.get(name)}
        return {**settings.variables, **own, POLICY: "manual"}

    def _http(self) -> Http:
        settings = read_index_settings(self.uv.environ, outside=self.uv.outside)
        return Http(environ={**self.uv.environ, **settings.variables}, limit_s=LIMIT_S)

    # -- what uv says -------------------------------------------------------------------------------------------

    def _build(self, entry: Mapping[str, str]) -> Iterator[Build]:
        file = file_of(entry["url"])
        release = _release(file) or _release(entry["url"].rpartition("/")[0].rpartition("/")[2])
        is_wanted = entry["implementation"] == "cpython" and entry["variant"] == "default" and entry["os"] == "linux"
        is_fit = file.endswith(_ENDINGS) and release and not parse_version(entry["version"]).is_prerelease
        if is_wanted and is_fit:
            url = self._with_password(entry["url"])
            yield Build(key=entry["key"], version=entry["version"], release=release, file=file, url=url)

    def _with_password(self, url: str) -> str:
        """Put back the mirror's password: uv hides it."""
        mirror = self._setting(MIRROR)
        if not mirror or path_of(url) is not None or urlsplit(url).username is None:
            return url
        return like(urlunsplit(without_credentials(urlsplit(url))), mirror)

    def _expected(self, build: Build) -> str:
        """Hear from uv which sha256 it expects, by giving it another archive: it has no command that says so."""
        with tempfile.TemporaryDirectory(prefix="reconciler-python-") as name:
            folder = Path(name, "mirror", build.release)
            folder.mkdir(parents=True)
            for file in {build.file, quote(build.file)}:
                (folder / file).write_bytes(_another())
            places = ["--mirror", folder.parent.as_uri(), "--install-dir", str(Path(name, "installed")), "--no-bin"]
            done = run_uv(
                self.uv,
                ["python", "install", *places, "--", build.key],
                variables={POLICY: "manual", "UV_HTTP_RETRIES": "0"},
            )
        match = _EXPECTED.search(done.stderr)
        return match[1] if match is not None else ""

    def _listed(self, place: str, file: str) -> str:
        """Read the list that stands for uv's own."""
        try:
            entries = json.loads(b"".join(self._read(place)))
            found = next(entry for entry in entries.values() if file_of(entry["url"]) == file)
            return str(found["sha256"] or "").lower()
        except (ReconcilerError, ValueError, KeyError, TypeError, AttributeError, StopIteration):
            return ""  # uv itself has read it just now: what it lacks is a sum

    def _beside(self, build: Build, name: str) -> str:
        """Read the sums that stand on the mirror."""
        folder = build.url.rpartition("/")[0]
        try:
            text = b"".join(self._read(f"{folder}/{quote(name)}")).decode("ascii")
        except (ReconcilerError, ValueError):
            return ""
        for match in map(_SUM.fullmatch, text.splitlines()):
            if match is not None and (match[2] or build.file) == build.file:
                return match[1]
        return ""

    def _read(self, url: str) -> Iterator[bytes]:
        path = path_of(url)
        return self._http().stream(url) if path is None else _file(path)


def _release(text: str) -> str:
    match = _RELEASE.search(text)
    return match[0] if match is not None else ""


def _file(path: Path) -> Iterator[bytes]:
    # uv looks for the name as the address spells it too.
    found = next((one for one in (path, path.with_name(quote(path.name))) if one.is_file()), path)
    try:
        with found.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
    except FileNotFoundError as error:
        raise NotFoundError(f"{path.name} is not there") from error
    except OSError as error:
        raise SourceError(f"{path.name} can't be read: {os.strerror(error.errno or 0)}") from error


def _another() -> bytes:
    """Give an archive that uv can unpack, and that nobody has ever released."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        folder = tarfile.TarInfo("python")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
    return gzip.compress(buffer.getvalue(), mtime=0)
