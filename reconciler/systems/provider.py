"""Where the interpreter of a base of packages comes from: the distribution, or a standalone build. Pure."""

from __future__ import annotations

from reconciler.debian.suites import SUITES, Suite
from reconciler.errors import ReconcilerError, ResolveError
from reconciler.manifest.model import Manifest

DISTRIBUTION, STANDALONE = "debian", "standalone"


def fits(asked: str, version: str) -> bool:
    """Tell whether an exact version is what is asked for: 3.12.1 is a 3.12, and no 3.1."""
    return f"{version}.".startswith(f"{asked}.")


def decide(manifest: Manifest, suite: Suite, version: str) -> str:
    """Choose between :data:`DISTRIBUTION` and :data:`STANDALONE`; ``version`` is that of the suite's own Python.

    It is exact (``3.11.2``), or only the minor one where nobody has looked yet. What the manifest asks for and nobody
    has is a ResolveError with its line.
    """
    python = manifest.python
    if python.provider == STANDALONE:
        return STANDALONE
    if python.provider == "auto":
        return DISTRIBUTION if fits(python.version, version) else STANDALONE
    if python.provider != DISTRIBUTION:
        raise ResolveError(
            f"python.provider: {python.provider} is not for a base of packages",
            where=manifest.locate("python.provider"),
            hint="write auto, debian or standalone, or name a docker.base_image",
        )
    if fits(python.version, version):
        return DISTRIBUTION
    raise ResolveError(
        f"{suite.distribution} {suite.name} has Python {version}, and python.version is {python.version}",
        where=manifest.locate("python.version"),
        hint=f"write {_other(suite, python.version)}or python.provider: standalone",
    )


def neither(manifest: Manifest, suite: Suite, version: str, error: ReconcilerError) -> ReconcilerError:
    """Say where the Python that can't be had is asked for; of ``auto`` that no provider has it, and both remedies."""
    where = error.where or manifest.locate("python.version")
    message, hint = error.message, error.hint
    if manifest.python.provider == "auto":
        own = f"{suite.distribution} {suite.name} has Python {version}"
        message = f"{own}, not {manifest.python.version}, and no standalone one: {message}"
        hint = f"write python.version: {suite.python}, or {hint or 'look at uv python list'}"
    return type(error)(message, where=where, hint=hint, detail=error.detail)


def _other(suite: Suite, asked: str) -> str:
    """Name the suite of the same distribution that has the minor version, else the version of this one."""
    minor = ".".join(asked.split(".")[:2])
    for other in SUITES.values():
        if other.distribution == suite.distribution and other.python == minor and other.name != suite.name:
            return f"docker.base_image: {other.distribution}:{other.name} "
    return f"python.version: {suite.python} "
