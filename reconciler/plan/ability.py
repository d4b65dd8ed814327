"""What follows from what a registry can do and can't. Pure."""

from __future__ import annotations

from reconciler.plan.diagnosis import Mark, Remark

_NEEDED = frozenset({"push", "list tags"})
"""Without these nothing can be registered, or no version be numbered."""
_FOLLOWS = {
    "push": "nothing can be registered",
    "list tags": "versions can't be told apart",
    "list repositories": "names come from the managers' state records",
    "delete": "old versions stay for ever",
    "mount": "what another environment has already is uploaded again",
    "move tags": "`current` can't follow a new version",
}
_DO = {"move tags": "exclude `current` from the rule that makes tags immutable"}


def judge_feature(name: str, detail: str, hint: str, *, supported: bool | None) -> Remark:
    """Say whether a registry can do something, and where it can't, what follows and what to do."""
    if supported:
        return Remark(mark=Mark.OK, subject=name, text="yes")
    if supported is None:
        return Remark(mark=Mark.NOTE, subject=name, text=detail or "can't be told", hint=hint)
    mark = Mark.PROBLEM if name in _NEEDED or name in _DO else Mark.NOTE
    follows = detail or _FOLLOWS.get(name, "")
    text = f"no; {follows}" if follows else "no"
    return Remark(mark=mark, subject=name, text=text, hint=hint or _DO.get(name, ""))
