"""Which of several wheels of one release is taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from reconciler.values.pep import Wheel

Value = TypeVar("Value")


def best(wheels: Mapping[str, Value]) -> Value:
    """Choose among wheels that all fit, by file name: the most specific Python, ABI and platform."""
    return wheels[max(wheels, key=_rank)]


def _rank(file: str) -> tuple[bool, bool, bool, str]:
    try:
        tags = Wheel.parse(file).tags
    except ValueError:
        return (False, False, False, file)
    return (
        all(tag.platform != "any" for tag in tags),
        all(tag.abi not in {"none", "abi3"} for tag in tags),
        all(tag.interpreter.startswith("cp") for tag in tags),
        file,
    )
