"""What is worth saying about a lock that was made."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from reconciler.lock.model import Package, PlatformLock
from reconciler.manifest.desired import Desired
from reconciler.resolvers.question import Question, name_of

_SOURCES = "python.sources."
_RUNTIME = re.compile(r"nvidia-cuda-runtime(?:-cu[0-9]+)?")
_CUDA = ("nvidia-", "cuda-", "triton")
_LARGE = 200_000_000
_GB = 1e9


def unneeded(desired: Desired, question: Question, locks: Iterable[PlatformLock]) -> Iterator[str]:
    """Say which names under ``python`` change nothing, because no platform needs such a package.

    What the catalog or a set of defaults fills in is for many environments, and may be for others.
    """
    needed = {package.name for lock in locks for package in lock.packages}
    lines = desired.manifest.lines
    sources = [name_of(path.removeprefix(_SOURCES)) for path in lines if path.startswith(_SOURCES)]
    for field, names in (("sources", sources), ("build_from_source", question.build_from_source)):
        for name in sorted({*names} - needed):
            yield f"python.{field} names {name}, which nothing needs: check how it is written, or remove it"


def notes_on(desired: Desired, packages: Sequence[Package]) -> Iterator[str]:
    """Say, one line each, what a person would want to know."""
    yield from _runtimes(desired.manifest.cuda, packages)
    cuda = [package for package in packages if package.name.startswith(_CUDA)]
    size = sum(package.size for package in cuda)
    if desired.manifest.compute == "cpu" and size > _LARGE:
        whole = sum(package.size for package in packages)
        yield (
            f"{desired.name} is for compute cpu, but {len(cuda)} packages of it are for CUDA: {size / _GB:.1f} of "
            f"{whole / _GB:.1f} GB; name a source of CPU wheels under python: sources: {{torch: ALIAS}}, "
            "or say compute: gpu"
        )


def _runtimes(cuda: str | None, packages: Sequence[Package]) -> Iterator[str]:
    """Say where wheels bring a newer CUDA than the environment is declared for: the driver need not know it."""
    for package in packages:
        if cuda is not None and _RUNTIME.fullmatch(package.name) and _minor(package.version) > _minor(cuda):
            found = ".".join(map(str, _minor(package.version)))
            yield (
                f'cuda is {cuda}, but {package.name} {package.version} is of CUDA {found}: say cuda: "{found}", or '
                "name the index of wheels for it under bases.gpu.cuda in reconciler.yaml"
            )


def _minor(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
