"""The trap of wheels alone: an ancient release is chosen where a newer one, or what it needs, is source only.

After the solve each direct requirement is compared with the newest release that fits its Python and its clauses, by
metadata alone. Where it is newer, uv is asked for exactly that release together with everything else: if it fails for
lack of a wheel, this is the trap; if another requirement keeps it back, it is not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache

from reconciler.clients.http.index import Http
from reconciler.clients.http.transport import CONNECTIONS
from reconciler.clients.uv import Compiled
from reconciler.errors import DeniedError, ResolveError
from reconciler.manifest.desired import Desired
from reconciler.resolvers.explanation import locate, source_only
from reconciler.resolvers.origin import Indexes
from reconciler.resolvers.pylock import Pin
from reconciler.resolvers.question import Question, name_of
from reconciler.resolvers.releases import ReleaseFile, fetch_links, fetch_releases
from reconciler.resolvers.target import Target
from reconciler.values.pep import Requirement, Wheel, parse_version

_MACHINES = {"linux/amd64": ("x86_64",), "linux/arm64": ("aarch64",), "darwin/arm64": ("arm64", "universal2")}


@dataclass(frozen=True, order=True, kw_only=True, slots=True)
class Outdated:
    """A direct requirement whose newest fitting release was not chosen.

    ``buildable`` is the newest of the newer ones that has a source distribution (empty where none has).
    """

    name: str
    chosen: str
    newest: str
    buildable: str = ""


@dataclass(frozen=True, order=True, kw_only=True, slots=True)
class Trapped:
    """An outdated one, and the packages that lack the wheels."""

    outdated: Outdated
    unbuilt: tuple[str, ...]


def find_outdated(
    pins: Sequence[Pin], question: Question, target: Target, indexes: Indexes, http: Http
) -> tuple[tuple[Outdated, ...], tuple[str, ...]]:
    """Compare the pins (those of direct requirements) with what the indexes have; notes say what could not be."""

    def compare(pin: Pin) -> Outdated | str | None:
        try:
            return _compare(pin, _fetch(pin.name, indexes, http), question, target)
        except DeniedError:
            return f"{pin.name} was not compared with its newest release: an index refuses its page"

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        compared = list(pool.map(compare, pins))
    outdated = tuple(item for item in compared if isinstance(item, Outdated))
    return outdated, tuple(item for item in compared if isinstance(item, str))


def find_trapped(
    outdated: Sequence[Outdated], question: Question, ask: Callable[[Question], Compiled]
) -> tuple[Trapped, ...]:
    """Ask for the newest releases: all at once first, because one solution frees them all."""
    if not outdated or not ask(_newest(question, outdated)).status:
        return ()
    return tuple(trapped for item in outdated if (trapped := _judge(item, question, ask)) is not None)


def refuse_trapped(trapped: Sequence[Trapped], desired: Desired, target: Target) -> None:
    """Raise a ResolveError that names the source-only packages and the line to add, where there are any."""
    if not trapped:
        return
    first = trapped[0].outdated
    # What is allowed already stays in the line to write.
    allowed = {*desired.manifest.python.build_from_source, *(name for item in trapped for name in item.unbuilt)}
    line = f"build_from_source: [{', '.join(sorted(allowed))}]"
    raise ResolveError(
        f"{first.name} {first.chosen} would be taken on {target.platform} instead of {first.newest}, "
        f"the newest for Python {target.interpreter.version}: {_reason(trapped[0])}",
        where=locate(desired, first.name),
        hint=f"add under python: `{line}`, or keep the old one with {first.name}<={first.chosen}",
        detail="\n".join(
            f"{locate(desired, item.outdated.name)}: {item.outdated.name} {item.outdated.chosen} instead of "
            f"{item.outdated.newest}: {_reason(item)}"
            for item in trapped[1:]
        )
        or None,
    )


def _reason(trapped: Trapped) -> str:
    others = [name for name in trapped.unbuilt if name != trapped.outdated.name]
    if not others:
        return "that release exists as source only"
    return f"it needs {', '.join(others)}, which {'exist' if len(others) > 1 else 'exists'} as source only"


def _judge(item: Outdated, question: Question, ask: Callable[[Question], Compiled]) -> Trapped | None:
    answer = ask(_newest(question, [item]))
    unbuilt = source_only(answer.said) if answer.status else ()
    if unbuilt:
        return Trapped(outdated=item, unbuilt=unbuilt)
    if answer.status and item.buildable not in {"", item.newest}:
        # Its wheels don't run there after all, and nothing can be built of it; so an older one is the newest.
        return _judge(replace(item, newest=item.buildable), question, ask)
    return None


def _newest(question: Question, outdated: Sequence[Outdated]) -> Question:
    return question.with_requirements(*(f"{item.name}=={item.newest}" for item in outdated))


# -- which release is the newest --------------------------------------------------------------------------------


def _fetch(name: str, indexes: Indexes, http: Http) -> tuple[ReleaseFile, ...]:
    pages = [file for index in indexes.of(name) for file in fetch_releases(name, index, http)]
    links = [file for place in indexes.links_of(name) for file in fetch_links(name, place, http)]
    return (*pages, *links)


def _compare(pin: Pin, files: Sequence[ReleaseFile], question: Question, target: Target) -> Outdated | None:
    """Find the newest release that fits, where it is newer than the pin."""
    asked = [Requirement.parse(text) for text in question.asked_of(pin.name)]
    chosen = parse_version(pin.version)
    early = chosen.is_prerelease or any(requirement.asks_for_prereleases for requirement in asked)
    releases: dict[str, list[ReleaseFile]] = {}
    for file in files:
        releases.setdefault(file.version, []).append(file)
    newer = []
    for text in filter(_is_version, releases):
        version = parse_version(text)
        if version <= chosen or (version.is_prerelease and not early) or version.local:
            continue  # a local version (``+cpu``) is another build of a release, no newer one
        if all(requirement.allows(text) for requirement in asked):
            releases[text] = [file for file in releases[text] if _fits(file, question, target)]
            newer += [text] if releases[text] else []
    if not newer:
        return None
    newer.sort(key=parse_version, reverse=True)
    buildable = (version for version in newer if any(file.is_sdist for file in releases[version]))
    return Outdated(name=pin.name, chosen=pin.version, newest=newer[0], buildable=next(buildable, ""))


def _is_version(text: str) -> bool:
    try:
        parse_version(text)
    except ValueError:
        return False
    return True


def _fits(file: ReleaseFile, question: Question, target: Target) -> bool:
    if question.exclude_newer and not (file.uploaded and file.uploaded < question.moment):
        return False
    if not _fits_python(file.requires_python, target.interpreter.version):
        return False
    return file.is_sdist or _fits_target(file.file, target)


@lru_cache(maxsize=1 << 12)
def _fits_python(clauses: str, python: str) -> bool:
    if not clauses:
        return True
    full = python if python.count(".") > 1 else f"{python}.0"
    try:
        return Requirement.parse(f"python{clauses}").allows(full)
    except ValueError:
        return True  # uv mends what it can of an old spelling; so it is asked


def _fits_target(file: str, target: Target) -> bool:
    """Tell whether a wheel may run there; roughly, because uv is asked in the end."""
    machines = _MACHINES[str(target.platform)]
    abis = {"none", "abi3", target.interpreter.abi}
    return any(
        tag.abi in abis and (tag.platform == "any" or tag.platform.endswith(machines)) for tag in Wheel.parse(file).tags
    )


def by_name(pins: Sequence[Pin], question: Question, kept: Mapping[str, str]) -> tuple[Pin, ...]:
    """Give the pins that are worth comparing: required directly, from an index, and not kept by a preference."""
    direct = {name_of(text) for text in question.requirements if " @ " not in text}
    return tuple(pin for pin in pins if pin.name in direct and kept.get(pin.name) != pin.version)
