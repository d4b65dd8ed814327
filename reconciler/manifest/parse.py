"""Manifests from bytes to values: read once, kept by content, placed often. Pure.

:func:`read_value` is dear, and its result depends on the bytes and the schema alone, so that a caller may keep it by
their digests. :func:`manifest_from` is cheap, and adds what depends on the path and on the configuration.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.errors import ManifestError
from reconciler.manifest.build import to_manifest
from reconciler.manifest.catalog import unknown_cuda, with_wheels
from reconciler.manifest.checks import check_place, check_value, expected_name
from reconciler.manifest.config import Config, fill_in
from reconciler.manifest.model import Manifest
from reconciler.manifest.node import MAX_PROBLEMS
from reconciler.manifest.problem import Problem
from reconciler.manifest.secrets import Finding, find_secrets
from reconciler.manifest.wording import quoted, suggestion
from reconciler.values.canonical import Json
from reconciler.values.location import Location

Lines = Mapping[str, tuple[int, int]]
_FOLDER = "environments"


@dataclass(frozen=True, kw_only=True, slots=True)
class ParsedDocument:
    """A valid manifest as written: its value without any default, and where each field stands."""

    value: Mapping[str, Json]
    lines: Lines = field(default_factory=dict)

    def to_json(self) -> Json:
        """Give it as a JSON value."""
        return {"value": dict(self.value), "lines": {path: [*place] for path, place in self.lines.items()}}

    @classmethod
    def from_json(cls, content: Json) -> ParsedDocument:
        """Read what :meth:`to_json` gave. Anything else is a ValueError; what is inside is not checked again."""
        value = content.get("value") if isinstance(content, dict) else None
        lines = content.get("lines") if isinstance(content, dict) else None
        if not isinstance(value, dict) or not isinstance(lines, dict):
            raise ValueError("not a manifest that was read before")  # noqa: TRY004  # content, not a programmer's mistake
        return cls(value=value, lines={path: (place[0], place[1]) for path, place in lines.items()})  # type: ignore[index,misc]  # written by to_json


def parse_manifest(data: bytes, path: str, schema: str, config: Config | None = None) -> Manifest:
    """Read a manifest. A ManifestError holds every problem that was found."""
    return manifest_from(read_value(data, path, schema), path, config or Config())


def read_value(data: bytes, path: str, schema: str) -> ParsedDocument:
    """Read a manifest's bytes strictly and check them against the schema's text and for contradictions.

    ``path`` is used in messages only. A ManifestError holds every problem that was found.
    """
    from reconciler.manifest.reading import read_checked  # noqa: PLC0415  # heavy, and a cached file needs none of it

    converted = read_checked(data, path, schema)
    lines = {where: (place.line, place.column) for where, place in converted.places.items() if where}
    problems = [*converted.problems]
    if isinstance(converted.value, dict):
        problems += _unknown_yet(_problems(check_value(converted.value), lines, path), problems)
        problems += _problems(find_secrets(converted.value), lines, path)
    if not problems and isinstance(converted.value, dict):
        return ParsedDocument(value=converted.value, lines=lines)
    if isinstance(converted.value, dict):
        # The file is refused and not kept: what depends on its place is said in the same run.
        folder = path.rpartition("/")[0] if expected_name(path, _FOLDER) != converted.value.get("name") else _FOLDER
        problems += _unknown_yet(_problems(check_place(converted.value, path, folder), lines, path), problems)
    raise invalid(problems)


def manifest_from(parsed: ParsedDocument, path: str, config: Config) -> Manifest:
    """Place what was read: fill in the defaults, check the name against the path, and paths against the repository.

    A ManifestError holds every problem that was found.
    """
    value, lines = parsed.value, parsed.lines
    problems: list[Problem] = []
    if "extends" in value:
        value, problems = _extended(parsed, path, config)
    if "system_repositories" in value:
        problems += _problems(_unknown_repositories(value, config), lines, path)
    if "cuda" in value:
        problems += _problems(unknown_cuda(value, config.bases), lines, path)
        value = with_wheels(value, config.bases)
    problems += _problems(check_place(value, path, config.manifests), lines, path)
    if problems:
        raise invalid(problems)
    return to_manifest(value, path, lines)


def collisions(manifests: Iterable[Manifest]) -> list[Problem]:
    """Find manifests of one name, or of names that some file system takes for one, and renames from what exists."""
    by_name: dict[str, list[Manifest]] = {}
    for manifest in manifests:
        by_name.setdefault(unicodedata.normalize("NFKC", manifest.name).casefold(), []).append(manifest)
    problems = [_collision(group) for group in by_name.values() if len(group) > 1]
    for group in by_name.values():
        for manifest in group:
            old = manifest.renamed_from
            if old is not None and old in by_name:
                message = f"`renamed_from` is {old}, which {by_name[old][0].path} still declares"
                problems.append(
                    Problem(manifest.locate("renamed_from"), message, "delete the old manifest, or the line")
                )
    return sorted(problems)


def invalid(problems: Sequence[Problem]) -> ManifestError:
    """Make one error of problems: sorted, each once."""
    found = tuple(sorted(set(problems)))[:MAX_PROBLEMS]
    first = found[0]
    rest = f", and {len(found) - 1} more problem(s)" if len(found) > 1 else ""
    return ManifestError(f"{first.message}{rest}", where=first.location, hint=first.hint or None, problems=found)


def _collision(group: Sequence[Manifest]) -> Problem:
    ordered = sorted(group, key=lambda manifest: manifest.path)
    files = " and ".join(manifest.path for manifest in ordered)
    return Problem(ordered[-1].locate("name"), f"{files} declare one name, {ordered[0].name}", "rename one of them")


def _extended(parsed: ParsedDocument, path: str, config: Config) -> tuple[Mapping[str, Json], list[Problem]]:
    name = str(parsed.value["extends"])
    defaults = config.defaults.get(name)
    if defaults is None:
        near = suggestion(name, config.defaults)
        known = f"known are: {', '.join(sorted(config.defaults))}" if config.defaults else "reconciler.yaml has none"
        message = f"`extends` names the unknown defaults {quoted(name)}"
        finding = ("extends", message, f"did you mean `{near}`?" if near else known)
        return parsed.value, _problems([finding], parsed.lines, path)
    value = fill_in(parsed.value, defaults)
    # What the file and the defaults say each for itself may contradict together.
    return value, _problems((*check_value(value), *find_secrets({**value})), parsed.lines, path)


def _unknown_repositories(value: Mapping[str, Json], config: Config) -> Iterable[Finding]:
    items = value["system_repositories"]
    for index, alias in enumerate(items) if isinstance(items, list) else ():
        if isinstance(alias, str) and alias not in config.system_repositories:
            near = suggestion(alias, config.system_repositories)
            hint = (
                f"did you mean `{near}`?"
                if near
                else "add it to `system_repositories` of reconciler.yaml, with its key"
            )
            yield f"system_repositories[{index}]", f"{quoted(alias)} is no archive of reconciler.yaml", hint


def _problems(findings: Iterable[Finding], lines: Lines, path: str) -> list[Problem]:
    return [Problem(_locate(where, lines, path), message, hint) for where, message, hint in findings]


def _unknown_yet(found: Iterable[Problem], known: Iterable[Problem]) -> list[Problem]:
    """Leave out what stands where something was found already: it is mostly the same fault in other words."""
    places = {problem.location for problem in known}
    return [problem for problem in found if problem.location not in places]


def _locate(where: str, lines: Lines, path: str) -> Location:
    while where:
        place = lines.get(where)
        if place is not None:
            return Location(path, *place)
        where = where[: max(where.rfind("."), where.rfind("["), 0)]
    return Location(path, 1, 1)
