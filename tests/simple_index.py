"""A package index in a folder, as files that uv reads through ``file://``."""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.manifest.model import DEFAULT_PLATFORMS, Docker, Manifest, Python
from reconciler.ports import Resolution, Resolved
from reconciler.resolvers.uv import UvResolver
from tests.reached import desired
from tests.servers import Asked, Reply
from tests.wheelhouse import write_buildable, write_sdist, write_wheel


@dataclass
class SimpleIndex:
    """Pages under ``simple/``, files under ``files/``; a page is written anew with every file."""

    root: Path
    links: dict[str, list[str]] = field(default_factory=dict)
    entries: dict[str, list[dict[str, object]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.root / "files").mkdir(parents=True)
        (self.root / "simple").mkdir()

    @property
    def address(self) -> str:
        return (self.root / "simple").as_uri()

    def wheel(self, name: str, version: str, requires: Sequence[str] = (), **link: str) -> Path:
        """Add a wheel; ``link`` are attributes of its link: ``requires_python``, ``yanked``."""
        return self._link(name, write_wheel(self.root / "files", name, version, requires=requires), link)

    def sdist(self, name: str, version: str, setup: str = "", **link: str) -> Path:
        """Add a source distribution, which needs setuptools to be built."""
        return self._link(name, write_sdist(self.root / "files", name, version, setup=setup), link)

    def buildable(self, name: str, version: str, setup: str = "", build_requires: Sequence[str] = ()) -> Path:
        """Add a source distribution that brings what builds it."""
        path = write_buildable(self.root / "files", name, version, setup=setup, build_requires=build_requires)
        return self._link(name, path, {})

    def add(self, name: str, path: Path) -> Path:
        """Add a file that is under ``files`` already."""
        return self._link(name, path, {})

    def _link(self, name: str, path: Path, link: Mapping[str, str]) -> Path:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        attributes = "".join(
            f' data-{key.replace("_", "-")}="{html.escape(value)}"' for key, value in sorted(link.items())
        )
        self.links.setdefault(name, []).append(
            f'<a href="../../files/{path.name}#sha256={digest}"{attributes}>{path.name}</a>'
        )
        hashes = {"sha256": digest}
        entry = {
            "filename": path.name,
            "url": f"../../files/{path.name}",
            "hashes": hashes,
            "size": path.stat().st_size,
        }
        self.entries.setdefault(name, []).append({**entry, **{key.replace("_", "-"): link[key] for key in link}})
        page = self.root / "simple" / name / "index.html"
        page.parent.mkdir(exist_ok=True)
        page.write_text("<!DOCTYPE html><html><body>\n" + "\n".join(self.links[name]) + "\n</body></html>\n")
        return path

    def reply(self, asked: Asked) -> Reply:
        """Answer as an index does (PEP 691): JSON pages, with what ``link`` said of each file, and the files."""
        kind, _, name = asked.path.strip("/").partition("/")
        if kind == "files":
            return 200, {"Content-Type": "application/octet-stream"}, (self.root / "files" / name).read_bytes()
        if name not in self.entries:
            return 404, {}, b""
        page = {"meta": {"api-version": "1.1"}, "name": name, "files": self.entries[name]}
        return 200, {"Content-Type": "application/vnd.pypi.simple.v1+json"}, json.dumps(page).encode()

    def environ(self, **more: str) -> dict[str, str]:
        """Give an environment in which pip, and so the resolver, uses this index and nothing else."""
        home = self.root / "home"
        home.mkdir(exist_ok=True)
        return {
            "HOME": str(home),
            "PATH": "/usr/bin:/bin",
            "UV_CACHE_DIR": str(self.root / "cache"),
            "PIP_CONFIG_FILE": "/dev/null",
            "PIP_INDEX_URL": self.address,
            **more,
        }

    def resolve(self, *pip: str, environ: Mapping[str, str] | None = None, **rest: object) -> Resolved:
        """Solve for these requirements; ``rest`` goes to the manifest's ``python``."""
        resolver = UvResolver(environ=self.environ() if environ is None else environ)
        return resolver.resolve(Resolution(desired=desired(manifest(*pip, **rest))))


def manifest(*pip: str, **rest: object) -> Manifest:
    """Declare an environment of these requirements, each on a line of its own."""
    python = {name: value for name, value in rest.items() if name not in {"platforms", "compute"}}
    others = {name: value for name, value in rest.items() if name not in python}
    lines = {"python": (2, 1), **{f"python.pip[{index}]": (10 + index, 5) for index in range(len(pip))}}
    sources = rest.get("sources")
    if isinstance(sources, Mapping):
        lines |= {f"python.sources.{name}": (4, 14) for name in sources}
    return Manifest(
        name="training",
        path="environments/training.yaml",
        docker=Docker(enabled=False),
        python=Python(pip=pip, **python),  # type: ignore[arg-type]  # whatever the test says
        lines=lines,
        **{"platforms": DEFAULT_PLATFORMS, **others},  # type: ignore[arg-type]  # as above
    )


def chosen(resolved: Resolved) -> dict[str, str]:
    """Give what was chosen, name to version, for the first platform."""
    platform = next(iter(resolved.lock.platforms.values()))
    return {package.name: package.version for package in platform.packages}
