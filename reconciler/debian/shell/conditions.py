"""The command ``test`` (POSIX.1-2017, Utilities, test)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reconciler.debian.shell.syntax import UnreadableError
from reconciler.debian.shell.truth import Truth, all_of, any_of, certainty

FileTest = Callable[[str, str], Truth]
"""Answers for an operator such as ``-e`` and a path."""
_FILE_TESTS = frozenset(f"-{letter}" for letter in "bcdefghkLOGprsSuwx")
_NUMBERS: dict[str, Callable[[int, int], bool]] = {
    "-eq": lambda left, right: left == right,
    "-ne": lambda left, right: left != right,
    "-lt": lambda left, right: left < right,
    "-le": lambda left, right: left <= right,
    "-gt": lambda left, right: left > right,
    "-ge": lambda left, right: left >= right,
}
_BINARY = frozenset(["=", "==", "!=", "-nt", "-ot", *_NUMBERS])


def evaluate(arguments: Sequence[str], file_test: FileTest) -> Truth:
    """Judge the arguments of ``test``, without its name and a closing bracket."""
    words = [*arguments]
    if len(words) <= 3:  # noqa: PLR2004  # POSIX says what these mean, whatever they look like
        return _plain(words, file_test)
    for operator, join in (("-o", any_of), ("-a", all_of)):
        places = [
            place for place in range(1, len(words) - 1) if words[place] == operator and not _operand(words, place)
        ]
        if places:
            place = places[0]
            return join([evaluate(words[:place], file_test), evaluate(words[place + 1 :], file_test)])
    if words[0] == "!":
        return ~evaluate(words[1:], file_test)
    raise UnreadableError("a condition that is not known")


def _operand(words: Sequence[str], place: int) -> bool:
    """Tell whether a word is what an operator before it compares with."""
    return words[place - 1] in _BINARY


def _plain(words: Sequence[str], file_test: FileTest) -> Truth:
    if not words:
        return Truth.NO
    if len(words) == 1:
        return _known(Truth.of(words[0]), words[0])
    if len(words) == 3 and words[1] in _BINARY:  # noqa: PLR2004
        return _compare(*words)
    if words[0] == "!":
        return ~_plain(words[1:], file_test)
    if len(words) == 2:  # noqa: PLR2004
        return _unary(words[0], words[1], file_test)
    if words[1] in ("-a", "-o"):
        return (all_of if words[1] == "-a" else any_of)([_plain(words[:1], file_test), _plain(words[2:], file_test)])
    raise UnreadableError("a condition that is not known")


def _known(truth: Truth, *texts: str) -> Truth:
    known = certainty(*texts)
    return known if known.is_open else truth


def _unary(operator: str, word: str, file_test: FileTest) -> Truth:
    if operator in ("-z", "-n"):
        return _known(Truth.of(bool(word) == (operator == "-n")), word)
    if operator == "-t":
        return Truth.NO
    if operator in _FILE_TESTS:
        known = certainty(word)
        return known if known.is_open else file_test(operator, word)
    raise UnreadableError(f"the condition {operator!a}")


def _compare(left: str, operator: str, right: str) -> Truth:
    known = certainty(left, right)
    if known.is_open:
        return known
    if operator in ("=", "==", "!="):
        return Truth.of((left == right) == (operator != "!="))
    if operator in _NUMBERS and left.lstrip("-").isdecimal() and right.lstrip("-").isdecimal():
        return Truth.of(_NUMBERS[operator](int(left), int(right)))
    return Truth.UNKNOWN
