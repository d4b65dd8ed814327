"""What is worth saying about a lock that was made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from reconciler.lock.model import Package, PlatformLock
from reconciler.manifest.desired import Desired
from reconciler.resolvers.question import Question

_CUDA = ("nvidia-", "cuda-", "triton")
_LARGE = 200_000_000
_GB = 1e9


def unneeded(question: Question, locks: Iterable[PlatformLock]) -> Iterator[str]:
    """Say which names under ``python`` change nothing, because no platform needs such a package."""
    needed = {package.name for lock in locks for package in lock.packages}
    for field, names in (("sources", question.sources), ("build_from_source", question.build_from_source)):
        for name in sorted({*names} - needed):
            yield f"python.{field} names {name}, which nothing needs: check how it is written, or remove it"


def notes_on(desired: Desired, packages: Sequence[Package]) -> Iterator[str]:
    """Say, one line each, what a person would want to know."""
    cuda = [package for package in packages if package.name.startswith(_CUDA)]
    size = sum(package.size for package in cuda)
    if desired.manifest.compute == "cpu" and size > _LARGE:
        whole = sum(package.size for package in packages)
        yield (
            f"{desired.name} is for compute cpu, but {len(cuda)} packages of it are for CUDA: {size / _GB:.1f} of "
            f"{whole / _GB:.1f} GB; name a source of CPU wheels under python: sources: {{torch: ALIAS}}, "
            "or say compute: gpu"
        )
