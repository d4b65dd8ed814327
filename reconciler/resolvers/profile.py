"""What a base image brings, read from its layers without unpacking one: interpreter, C library, packages, accounts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import cast

from reconciler.assembly.distributions import distributions
from reconciler.assembly.place import PREFIX
from reconciler.clients.roots import read_root
from reconciler.errors import ResolveError
from reconciler.oci.configuration import BaseConfig, parse_config
from reconciler.oci.rootfs import Node, Rootfs
from reconciler.ports import BaseImage, Cache
from reconciler.values.canonical import Json, digest_of
from reconciler.values.platform import Platform

FORMAT = 2
"""How a profile is read, counted; part of the key that it is kept by."""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ELSEWHERE = ("usr/local/bin", "usr/bin", "opt/conda/bin", "opt/python/bin")
_MAX_BINARY, _MAX_TEXT = 128 << 20, 1 << 20
_BINARY = re.compile(r"(?:.*/)?(?:python3(?:\.[0-9]+)?|libpython3\.[0-9]+\.so(?:\.[0-9.]+)?)")
_LIBC = re.compile(r"(?:.*/)?(?:libc\.so\.6|libc-2\.[0-9]+\.so|ld-musl-[^/]+)")
_TEXT = re.compile(r"etc/(?:passwd|group)|(?:.*/)?patchlevel\.h")
_RELEASE = re.compile(rb"\0(3\.[0-9]{1,2}\.[0-9]{1,2}(?:(?:a|b|rc)[0-9]+)?)\+?\0")
_PATCHLEVEL = re.compile(rb'#define\s+PY_VERSION\s+"(3\.[0-9.]+[a-z0-9]*)')
_GLIBC = re.compile(rb"GNU C Library [^\n\0]*?version ([0-9]+)\.([0-9]+)")
_MACHINES = {"amd64": 62, "arm64": 183}  # e_machine (ELF, gABI)
_ELF = b"\x7fELF"


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """What assembling and solving have to know. Paths are relative to the root; ``glibc`` is major and minor."""

    python: str
    version: str
    abi: str
    glibc: tuple[int, int]
    packages: Mapping[str, str]
    links: Mapping[str, str]
    passwd: str
    group: str


def profile(
    base: BaseImage, *, interpreter_path: str | None, version: str | None, cache: Cache, platform: Platform
) -> Profile:
    """Read a base image; ``version`` is the Python that is asked for, as far as it is.

    What has no such interpreter, or one that packages can't be chosen for, is a ResolveError.
    """
    key = str(
        digest_of(
            {"format": FORMAT, "manifest": str(base.manifest.digest), "path": interpreter_path, "version": version}
        )
    )
    kept = cache.get(f"profile:{key}")
    if isinstance(kept, dict):
        return _restored(kept)
    config = parse_config(base.config)
    root = read_root(base, _wanted)
    found = _Look(base=base.reference, root=root, config=config, platform=platform).profile(interpreter_path, version)
    cache.put_many({f"profile:{key}": cast("Json", {**asdict(found), "glibc": list(found.glibc)})})
    return found


def _restored(kept: Mapping[str, Json]) -> Profile:
    values = {**kept, "glibc": tuple(cast("list[int]", kept["glibc"]))}
    return Profile(**values)  # type: ignore[arg-type]  # as it was written


def _wanted(path: str, size: int) -> int:
    if _BINARY.fullmatch(path) or _LIBC.fullmatch(path):
        return min(size, _MAX_BINARY)
    return size if size <= _MAX_TEXT and _TEXT.fullmatch(path) else 0


@dataclass(frozen=True, kw_only=True, slots=True)
class _Look:
    """One look at an image."""

    base: str
    root: Rootfs
    config: BaseConfig
    platform: Platform

    def profile(self, interpreter_path: str | None, version: str | None) -> Profile:
        self._refuse_environment()
        python, release = self._interpreter(interpreter_path, version)
        major, minor = release.split(".")[:2]
        return Profile(
            python=python,
            version=release,
            abi=f"cp{major}{minor}",
            glibc=self._glibc(),
            packages=self._packages(python, f"{major}.{minor}"),
            links=self.root.folder_links,
            passwd=self._text("etc/passwd"),
            group=self._text("etc/group"),
        )

    def _refuse_environment(self) -> None:
        """Ours laid over another one would be a mixture of both, under metadata of ours."""
        if self.root.children(PREFIX):
            raise ResolveError(
                f"the base image {self.base} has something in /{PREFIX} already, which is where the environment goes",
                hint="name an environment of this repository in docker.base_environment, or another base image",
            )

    def _interpreter(self, path: str | None, version: str | None) -> tuple[str, str]:
        """Find an interpreter that fits; the first one that is there does not have to."""
        seen: dict[str, str] = {}
        for candidate in (path,) if path is not None else self._candidates(version):
            node, real = self.root.lookup(candidate), self.root.resolve(candidate)
            if node is None or real is None or real in seen or not node.data.startswith(_ELF):
                continue
            seen[real] = self._release(real, node)
            if version is None or f"{seen[real]}.".startswith(f"{version}."):
                self._check_machine(real, node)
                return real, seen[real]
        raise self._none(path, version, seen)

    def _candidates(self, version: str | None) -> Iterator[str]:
        minor = ".".join(version.split(".")[:2]) if version else ""
        names = [f"python{minor}", "python3", "python"] if minor else ["python3", "python"]
        folders = [*self.config.environment.get("PATH", _PATH).split(":"), *_ELSEWHERE]
        for name in names:
            yield from (f"{folder.strip('/')}/{name}" for folder in folders if folder)

    def _none(self, path: str | None, version: str | None, seen: Mapping[str, str]) -> ResolveError:
        asked = f"Python {version}" if version else "Python"
        if seen:
            there = ", ".join(f"/{place} is {release}" for place, release in sorted(seen.items()))
            return ResolveError(
                f"the base image {self.base} has no {asked}: {there}",
                hint="change python.version or the base image, or write python.provider: standalone",
            )
        where = f" at {path}" if path is not None else ""
        return ResolveError(
            f"the base image {self.base} has no {asked}{where}",
            hint="name a base image that has it, its place in python.interpreter_path, or python.provider: standalone",
        )

    def _release(self, real: str, node: Node) -> str:
        """Read the exact version: what the interpreter or its library has in it, else its headers."""
        minor = re.fullmatch(r".*python(3\.[0-9]+)", real)
        start = f"{minor[1]}." if minor is not None else "3."
        for found in self._releases(real, node):
            fitting = [release for release in found if release.startswith(start)]
            if len(fitting) == 1:
                return fitting[0]
        raise ResolveError(
            f"the base image {self.base} does not tell which version /{real} is",
            hint="name another interpreter in python.interpreter_path, or another base image",
        )

    def _releases(self, real: str, node: Node) -> Iterator[set[str]]:
        """Give what one place after another says, the surest first."""
        prefix = real.rpartition("/")[0].removesuffix("bin")
        yield {match.decode() for match in _RELEASE.findall(node.data)}
        for path, file in self.root.files():
            if path.startswith(f"{prefix}lib") and "/libpython3" in path:
                yield {match.decode() for match in _RELEASE.findall(file.data)}
        for path, file in self.root.files():
            if path.startswith(f"{prefix}include") and path.endswith("/patchlevel.h"):
                yield {match.decode() for match in _PATCHLEVEL.findall(file.data)}

    def _check_machine(self, real: str, node: Node) -> None:
        machine = int.from_bytes(node.data[18:20], "little")
        if machine != _MACHINES.get(self.platform.architecture):
            raise ResolveError(f"the base image {self.base} says {self.platform}, and /{real} is for another machine")

    def _glibc(self) -> tuple[int, int]:
        files = [(path, node) for path, node in self.root.files() if _LIBC.fullmatch(path)]
        for _, node in sorted(files, key=lambda pair: pair[0]):
            match = _GLIBC.search(node.data)
            if match is not None:
                return int(match[1]), int(match[2])
        if any("ld-musl" in path for path, _ in files):
            raise ResolveError(
                f"the base image {self.base} has musl, and wheels are chosen for glibc",
                hint="name a base image of Debian, Ubuntu, Fedora or another with glibc",
            )
        raise ResolveError(f"the base image {self.base} does not tell which C library it has")

    def _packages(self, python: str, minor: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for one in distributions(self.root, python, minor):
            found.setdefault(one.name, one.version)
        return dict(sorted(found.items()))

    def _text(self, path: str) -> str:
        node = self.root.lookup(path)
        return node.data.decode("utf-8", errors="replace") if node is not None else ""
