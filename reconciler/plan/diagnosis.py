"""What `doctor` finds, and what to do about it. Pure.

A **problem** is damage, or something that we need and may not do. A **note** is worth knowing and harms nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from reconciler.errors import ReconcilerError
from reconciler.plan.state import State
from reconciler.record import Record
from reconciler.values.digest import Digest


class Mark(Enum):
    """How good or bad a remark is."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True, kw_only=True, slots=True)
class Remark:
    """One finding: ``subject`` (an environment, a feature), ``part`` (a tag, what of it, a file), and what is found.

    ``hint`` says in one line what to do, with the command to type where there is one.
    """

    mark: Mark
    subject: str
    text: str
    part: str = ""
    hint: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Remarks on one matter."""

    title: str
    remarks: tuple[Remark, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Diagnosis:
    """All that was found; ``ended_by`` is what kept the rest from being looked at."""

    registry: str
    groups: tuple[Group, ...]
    ended_by: ReconcilerError | None = None

    def count(self, mark: Mark) -> int:
        """Count the remarks with a mark."""
        return sum(remark.mark is mark for group in self.groups for remark in group.remarks)


# -- damage -----------------------------------------------------------------------------------------------------


class Remedy(Enum):
    """What mends damage."""

    APPLY = "apply"
    """Apply finds and mends it."""
    REMOVE_AND_APPLY = "remove and apply"
    """Apply mends it once what is there is out of the way."""
    APPLY_OR_RESTORE = "apply or restore"
    """Apply registers the environment anew, maybe under another number."""
    RESTORE = "restore"
    """Content of earlier versions alone, which nothing makes again."""
    RETAG = "retag"
    """A tag of an earlier version, or its entry in an index."""
    REMOVE = "remove"
    """Nothing needs it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Damage:
    """What is wrong with one environment at one place.

    ``part`` names the tags and what of them; ``digest`` is the content that is damaged, or that a tag has to name;
    ``tag`` is the one that is wrong. ``odd`` says that no plain file stands where the content has to.
    """

    part: str
    text: str
    remedy: Remedy
    digest: Digest | None = None
    tag: str = ""
    odd: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where damage is: the environment, whose it is, and its storage as people type it, where that can be reached.

    ``file`` is the damaged content's file, ``copy`` a whole copy of it elsewhere, ``folder`` the layout's.
    """

    registry: str
    name: str
    remote: bool = False
    manager: str | None = None
    ours: str | None = None
    archived: bool = False
    folder: str = ""
    file: str = ""
    copy: str = ""


def remark_of(damage: Damage, place: Place) -> Remark:
    """Say what is wrong, and what mends it."""
    return Remark(mark=Mark.PROBLEM, subject=place.name, part=damage.part, text=damage.text, hint=_hint(damage, place))


def apply_hint(place: Place) -> str:
    """Say who has to apply what."""
    # Of a remote registry apply reads what changed alone, unless it is asked to repair.
    command = f"`reconciler apply {'--repair ' if place.remote else ''}{place.name}`"
    if place.archived:
        return f"declare {place.name} again, then {command}"
    if place.manager is None or place.ours is None or place.manager == place.ours:
        return command
    return f"{command} where {place.manager} registers from"


def _hint(damage: Damage, place: Place) -> str:  # noqa: PLR0911  # one return a remedy
    match damage.remedy:
        case Remedy.APPLY:
            return f"remove {place.file}, then {apply_hint(place)}" if damage.odd else apply_hint(place)
        case Remedy.REMOVE_AND_APPLY if damage.tag:
            entry = f"the entry of {damage.tag} from {place.folder}/index.json" if place.folder else f"tag {damage.tag}"
            return f"remove {entry}, then {apply_hint(place)}"
        case Remedy.REMOVE_AND_APPLY:
            what = place.file or f"{damage.digest} from the registry's storage"
            return f"remove {what}, then {apply_hint(place)}"
        case Remedy.APPLY_OR_RESTORE:
            return f"{apply_hint(place)} registers it anew, or {_restore(damage, place)}"
        case Remedy.RESTORE:
            return _restore(damage, place)
        case Remedy.RETAG:
            return _retag(damage, place)
        case Remedy.REMOVE:
            return f"remove {place.file or damage.part}; nothing needs it"


def _restore(damage: Damage, place: Place) -> str:
    if place.copy:
        return f"{f'remove {place.file}, then ' if damage.odd else ''}`cp {place.copy} {place.file}`"
    what = place.file or f"{damage.digest} in {place.registry}"
    versions = damage.part.partition(":")[0]
    where = f" in {place.folder}/index.json" if place.folder else ""
    return f"restore {what} from a copy, or give {versions} up: remove its tags{where}"


def _retag(damage: Damage, place: Place) -> str:
    if place.folder or damage.digest is None:
        return f"restore {place.folder or place.name}/index.json from a copy, or give {damage.tag} up: remove its entry"
    image = f"docker://{place.registry}/{place.name}"
    return f"`skopeo copy --all {image}@{damage.digest} {image}:{damage.tag}`"


# -- states -----------------------------------------------------------------------------------------------------


def judge_current(state: State, digest: Digest, record: Record, left: Record | None) -> tuple[Mark, str] | None:
    """Compare ``current`` with the record that a manager's last apply left; nothing where there is nothing to say.

    ``left`` is that record, where it can still be read. What an apply that was cut off did is no damage, nor is what
    another manager registered since.
    """
    expected, facts = state.records.get(record.facts.name), record.facts
    if expected is None or expected == digest or facts.archived:
        return None
    if facts.manager != state.manager:
        return Mark.NOTE, f"registered by {facts.manager}; the state of {state.manager} still has it"
    if left is not None and left.facts.manager == state.manager and left.facts.version > facts.version:
        return (
            Mark.PROBLEM,
            f"names version {facts.version}, the last apply left version {left.facts.version}, {expected}",
        )
    gone_back = left is not None and left.facts.version == facts.version
    again = facts.commit == state.began and facts.parent == expected
    if gone_back and state.began is not None and state.began == state.finished and not again:
        return Mark.PROBLEM, f"names {digest}, the last apply left {expected}"
    return Mark.NOTE, f"names {digest.short}, which the state of {state.manager} does not know yet"


def judge_state(tag: str, state: State) -> Remark:
    """Say what a manager's state tells."""
    held = counted(len(state.records), "environment")
    if state.began != state.finished:
        began = f"an apply of commit {state.began[:12]}" if state.began else "an apply"
        text = f"{held}; {began} began and did not finish, or is under way"
        return Remark(mark=Mark.NOTE, subject=state.manager, part=tag, text=text, hint="`reconciler apply` finishes it")
    commit = f", commit {state.finished[:12]}" if state.finished else ""
    return Remark(mark=Mark.OK, subject=state.manager, part=tag, text=f"{held}{commit}")


# -- words ------------------------------------------------------------------------------------------------------


def listed(words: Iterable[str]) -> str:
    """Join words by commas, each once, in the order that they came in."""
    return ", ".join(dict.fromkeys(words))


def counted(number: int, word: str) -> str:
    """Write a number with its noun."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def problems(groups: Iterable[Group]) -> Iterator[Remark]:
    """Give every problem."""
    for group in groups:
        yield from (remark for remark in group.remarks if remark.mark is Mark.PROBLEM)
