"""Debian archives made for tests, right ones and wrong ones: signed with keys of their own, served on loopback."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote

import pysequoia

from reconciler.clients.debian.archives import Archives, Repository
from reconciler.clients.debian.places import Configured, Places
from reconciler.clients.http.index import Http
from reconciler.clients.openpgp import Keys
from reconciler.executors.serial import Serial
from reconciler.lock.system import SystemPackage
from reconciler.store.debs import DebStore, IndexStore
from tests.servers import Asked, Reply, Server, serving

NOW = datetime(2026, 1, 10, 12, tzinfo=UTC)
DATE = NOW - timedelta(days=2)
SUITES = (("debian", "bookworm"), ("debian", "bookworm-updates"), ("debian-security", "bookworm-security"))
Files = dict[str, bytes]
_PACKINGS: Mapping[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": lambda data: gzip.compress(data, mtime=0),
    ".xz": lzma.compress,
}


@cache
def signer(name: str) -> pysequoia.Tsk:
    """Make a key, once a name."""
    return pysequoia.Tsk.generate(f"{name} <{name}@example.invalid>")


def public(name: str = "archive") -> bytes:
    """Give the public part of a key, armored."""
    return str(signer(name).extract_certificate()).encode("ascii")


def trusting(*names: str) -> Keys:
    """Trust these keys and no other."""
    return Keys(tuple(signer(name).extract_certificate() for name in names))


def sign(text: bytes, key: str = "archive") -> bytes:
    """Sign a text in clear."""
    return bytes(pysequoia.sign(signer(key).signer(), text, mode=pysequoia.SignatureMode.CLEAR))


def sign_detached(text: bytes, key: str = "archive") -> bytes:
    """Sign a text in a file of its own."""
    return bytes(pysequoia.sign(signer(key).signer(), text, mode=pysequoia.SignatureMode.DETACHED))


@dataclass(frozen=True, kw_only=True)
class Deb:
    """A package as far as an archive knows it; ``more`` are other fields of its stanza."""

    name: str
    version: str = "1.0"
    architecture: str = "amd64"
    data: bytes = b"no package, as far as an archive can tell\n" * 50
    more: Mapping[str, str] = field(default_factory=dict)

    @property
    def file(self) -> str:
        return f"pool/main/{self.name[0]}/{self.name}/{self.name}_{self.version}_{self.architecture}.deb"

    @property
    def stanza(self) -> str:
        fields = {
            "Package": self.name,
            "Version": self.version,
            "Architecture": self.architecture,
            "Maintainer": "Nobody <nobody@example.invalid>",
            "Filename": self.file,
            "Size": str(len(self.data)),
            "SHA256": sha256(self.data).hexdigest(),
            "Description": f"{self.name}\n Words that nobody needs.",
            **self.more,
        }
        return "".join(f"{name}: {value}\n" for name, value in fields.items() if value)

    def locked(self, archive: str = "debian/bookworm/main") -> SystemPackage:
        """Give it as a lock has it."""
        return SystemPackage(
            name=self.name,
            version=self.version,
            architecture=self.architecture,
            file=self.file,
            size=len(self.data),
            sha256=sha256(self.data).hexdigest(),
            archive=archive,
        )


@dataclass(frozen=True, kw_only=True)
class Suite:
    """One suite of an archive; ``fields`` are put over those of its Release file, and an empty one is left out."""

    name: str = "bookworm"
    debs: Sequence[Deb] = ()
    date: datetime = DATE
    until: datetime | None = None
    key: str = "archive"
    components: Sequence[str] = ("main",)
    architectures: Sequence[str] = ("amd64", "arm64")
    packings: Sequence[str] = (".xz",)
    contents: bytes = b""
    is_detached: bool = False
    fields: Mapping[str, str] = field(default_factory=dict)

    def lists(self) -> Files:
        """Give the indexes, in every packing that there is, by their path below the suite."""
        plain: Files = {}
        for component in self.components:
            for architecture in self.architectures:
                there = [deb for deb in self.debs if deb.architecture in (architecture, "all")]
                text = "\n".join(deb.stanza for deb in there).encode()
                plain[f"{component}/binary-{architecture}/Packages"] = text if component == "main" else b""
        packed = {f"{path}{one}": _PACKINGS[one](text) for path, text in plain.items() for one in ("", *self.packings)}
        more = {"main/Contents-amd64.gz": gzip.compress(self.contents, mtime=0)} if self.contents else {}
        return packed | more

    def text(self, lists: Files) -> bytes:
        """Give the Release file, without a signature."""
        fields = {
            "Suite": self.name,
            "Codename": self.name,
            "Date": format_datetime(self.date, usegmt=True),
            "Valid-Until": format_datetime(self.until, usegmt=True) if self.until else "",
            "Acquire-By-Hash": "yes",
            "Architectures": " ".join(self.architectures),
            "Components": " ".join(self.components),
            "SHA256": "".join(f"\n {sha256(data).hexdigest()} {len(data)} {path}" for path, data in lists.items()),
            **self.fields,
        }
        # No line ends in a space: a signature in clear would not be of it.
        return "".join(f"{name}: {value}\n" for name, value in fields.items() if value).replace(": \n", ":\n").encode()

    def build(self) -> Files:
        """Give every file of the archive, by its path. Of the indexes only the packed ones are there, as in Debian."""
        lists, folder = self.lists(), f"dists/{self.name}"
        text = self.text(lists)
        found = {f"{folder}/{path}": data for path, data in lists.items() if not path.endswith("/Packages")}
        if "" in self.packings:
            found |= {f"{folder}/{path}": data for path, data in lists.items()}
        for path, data in list(found.items()):
            found[f"{path.rpartition('/')[0]}/by-hash/SHA256/{sha256(data).hexdigest()}"] = data
        if self.is_detached:
            found |= {f"{folder}/Release": text, f"{folder}/Release.gpg": sign_detached(text, self.key)}
        else:
            found[f"{folder}/InRelease"] = sign(text, self.key)
        return found | {deb.file: deb.data for deb in self.debs}


@dataclass
class World:
    """A mirror of both of Debian's archives, whose files a test may spoil, and who reads it."""

    server: Server
    files: Files
    path: Path
    replies: dict[str, Callable[[Asked], Reply]]
    places: Places

    def archives(self, *, places: Places | None = None, **more: object) -> Archives:
        """Make a reader with empty hands: only what it keeps on the disk is there from the one before."""
        folder = self.path / "debs"
        settings: dict[str, object] = {
            "debs": DebStore(path=folder),
            "indexes": IndexStore(path=folder),
            "places": places or self.places,
            "http": Http(environ={"HOME": "/nonexistent"}, timeout_s=2, limit_s=20),
            "executor": Serial(),
            "read_file": lambda path: (self.path / path).read_bytes(),
            "trusted": lambda _: trusting("archive"),
            "now": lambda: NOW,
        }
        return Archives(**(settings | more))  # type: ignore[arg-type]  # each has its own

    def repository(self, files: Files, **more: object) -> Repository:
        """Serve another repository beside; its key stands in ``key.asc``."""
        self.files |= {f"other/{path}": data for path, data in files.items()}
        settings = {"url": f"{self.server.address}/other", "suite": "stable", "key": "key.asc"} | more
        return Repository(**settings)  # type: ignore[arg-type]  # as above

    def put(self, alias: str, suite: Suite) -> None:
        """Put a suite in the place of what is there."""
        self.files |= {f"{alias}/{path}": data for path, data in suite.build().items()}

    def asked(self, part: str) -> list[str]:
        """Give the paths that were asked for with this in them."""
        return [one.path for one in self.server.asked if part in one.path]

    @property
    def kept(self) -> list[str]:
        """The names of what was kept."""
        folder = self.path / "debs"
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def debian(**more: object) -> Files:
    """Make both archives of Debian, with nothing in them but what is in ``debs``."""
    found: Files = {}
    for alias, name in SUITES:
        settings = more if name == "bookworm" else {}
        suite = Suite(name=name, **settings)  # type: ignore[arg-type]  # as above
        found |= {f"{alias}/{path}": data for path, data in suite.build().items()}
    return found


@contextmanager
def mirror(path: Path, files: Files) -> Iterator[World]:
    """Serve files until the block ends; ``replies`` answer in their place, by path."""
    replies: dict[str, Callable[[Asked], Reply]] = {}

    def reply(one: Asked) -> Reply:
        wanted = unquote(one.path).lstrip("/")
        if wanted in replies:
            return replies[wanted](one)
        data = files.get(wanted)
        return (404, {}, b"") if data is None else (200, {}, data)

    with serving(reply) as server:
        configured = {alias: Configured(mirror=f"{server.address}/{alias}") for alias in ("debian", "debian-security")}
        yield World(server=server, files=files, path=path, replies=replies, places=Places(configured=configured))
