"""Follows a shell script against a host that is no machine: its commands are those of a table, and nothing runs.

Where a condition is not known yet, both ways are followed, and what is not understood there is passed over until the
root is there. Where a condition never will be known, a way that changes something is an :class:`UnreadableError`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from reconciler.debian.shell.builtins import BUILTINS, Leave
from reconciler.debian.shell.expansion import Scope, fields_of, matches, pattern_of, text_of
from reconciler.debian.shell.parser import parse_script
from reconciler.debian.shell.syntax import (
    Body,
    Case,
    Chain,
    Command,
    For,
    Function,
    Group,
    If,
    Pipeline,
    Redirect,
    Simple,
    UnreadableError,
    While,
    Word,
)
from reconciler.debian.shell.truth import UNKNOWN_MARK, Truth, certainty, mark

_NOWHERE = ("/dev/", "/var/log/")
"""Where what is written is of no use to a root at rest."""
_MAX_STEPS = 100_000
_MAX_DEPTH = 50


class Host(Protocol):
    """What scripts see and change."""

    changes: int
    """How many changes were asked for."""

    def test(self, operator: str, path: str) -> Truth:
        """Answer for a test of a file."""

    def glob(self, pattern: str) -> Sequence[str]:
        """Give the paths that match a pattern, sorted."""

    def write(self, path: str, text: str, *, is_added: bool) -> None:
        """Write a file anew, or behind what it has."""

    def run(self, command: str, arguments: Sequence[str], shell: Interpreter) -> Truth:
        """Do what a command does; one that is not known is an UnreadableError."""


class Interpreter:
    """One script's variables, functions and what it prints."""

    def __init__(self, host: Host, variables: Mapping[str, str], arguments: Sequence[str]) -> None:
        self.host = host
        self.variables = dict(variables)
        self.arguments = [*arguments]
        self._functions: dict[str, Command] = {}
        self._printed: list[str] = []
        self.document: str | None = None
        """What the command reads, where that is known: a here-document, or what is printed before a bar."""
        self._steps = self._depth = 0
        self._may_have_left = False
        self._captured = Truth.YES

    def run(self, script: str) -> None:
        """Follow a script to its end."""
        try:
            self.body(parse_script(script))
        except Leave:
            return
        except UnreadableError:
            if not self._may_have_left:
                raise

    def say(self, text: str) -> None:
        """Print something."""
        self._printed.append(text)

    # -- what words are -----------------------------------------------------------------------------------------

    @property
    def _scope(self) -> Scope:
        return Scope(variables=self.variables, arguments=self.arguments, capture=self.capture, glob=self.host.glob)

    def capture(self, body: Body) -> str:
        """Give what commands print, without line ends behind it."""
        if not body:
            return UNKNOWN_MARK
        self._captured, text = self._heard(lambda: self._apart(body))
        return text.rstrip("\n")

    def _heard(self, act: Callable[[], Truth]) -> tuple[Truth, str]:
        printed, self._printed = self._printed, []
        try:
            truth = act()
            return truth, "".join(self._printed)
        finally:
            self._printed = printed

    def _apart(self, body: Body) -> Truth:
        """Follow commands as a shell of their own does, whose variables are gone afterwards."""
        variables, arguments = dict(self.variables), [*self.arguments]
        try:
            return self.body(body)
        except Leave as leave:
            return leave.truth
        finally:
            self.variables, self.arguments = variables, arguments

    # -- commands -----------------------------------------------------------------------------------------------

    def body(self, body: Body) -> Truth:
        """Follow commands one after another; give whether the last one succeeds."""
        truth = Truth.YES
        for command in body:
            truth = self._command(command)
        return truth

    def _command(self, command: Command) -> Truth:
        self._steps += 1
        if self._steps > _MAX_STEPS or self._depth > _MAX_DEPTH:
            raise UnreadableError("a script that does not end")
        self._depth += 1
        try:
            return self._followed(command)
        finally:
            self._depth -= 1

    def _followed(self, command: Command) -> Truth:  # noqa: PLR0911  # one for each kind
        match command:
            case Simple():
                return self._simple(command)
            case Pipeline():
                return self._pipeline(command)
            case Chain():
                return self._chain(command)
            case If():
                return self._if(command.clauses, command.otherwise)
            case Case():
                return self._case(command)
            case For():
                return self._for(command)
            case While():
                return self._while(command)
            case Function():
                self._functions[command.name] = command.body
                return Truth.YES
            case Group():
                act = self._apart if command.is_subshell else self.body
                return self._redirected(lambda: act(command.body), command.redirects)

    def _chain(self, chain: Chain) -> Truth:
        truth = Truth.YES
        for operator, command in chain.items:
            if not operator:
                truth = self._command(command)
            elif truth.is_open:
                other = Truth.of(operator == "||")
                truth = self._either(truth, [lambda: self._command(command), lambda: other])  # noqa: B023  # called at once
            elif (truth is Truth.YES) == (operator == "&&"):
                truth = self._command(command)
        return truth

    def _pipeline(self, pipeline: Pipeline) -> Truth:
        *before, last = pipeline.commands
        for command in before:
            _, self.document = self._heard(lambda: self._apart((command,)))  # noqa: B023  # called at once
        truth = self._apart((last,)) if before else self._command(last)
        self.document = None
        return ~truth if pipeline.is_negated else truth

    def _if(self, clauses: Sequence[tuple[Body, Body]], otherwise: Body) -> Truth:
        if not clauses:
            return self.body(otherwise)
        (condition, body), *others = clauses
        truth = self.body(condition)
        if truth.is_open:
            return self._either(truth, [lambda: self.body(body), lambda: self._if(others, otherwise)])
        return self.body(body) if truth is Truth.YES else self._if(others, otherwise)

    def _either(self, truth: Truth, ways: Iterable[Callable[[], Truth]]) -> Truth:
        """Follow several ways, of which one is gone; variables that differ then are open."""
        before, changes = dict(self.variables), self.host.changes
        ends, truths = [], []
        for way in ways:
            self.variables = dict(before)
            try:
                truths.append(way())
            except Leave as leave:
                truths.append(leave.truth)
                self._may_have_left |= truth is Truth.LATER  # what follows may never be come to
            except UnreadableError:
                if truth is not Truth.LATER:
                    raise
                truths.append(truth)  # that way may never be gone: it is judged when the root is there
            ends.append(self.variables)
        if truth is Truth.UNKNOWN and self.host.changes != changes:
            raise UnreadableError("what they change depends on what only a running system knows")
        names = {name for end in ends for name in end}
        self.variables = {
            name: ends[0].get(name, "") if len({end.get(name) for end in ends}) == 1 else mark(truth) for name in names
        }
        return truths[0] if len(set(truths)) == 1 else truth

    def _case(self, case: Case) -> Truth:
        text = text_of(case.word, self._scope)
        known = certainty(text)
        if known.is_open:
            return self._either(known, [lambda body=body: self.body(body) for _, body in case.items])  # type: ignore[misc]
        for patterns, body in case.items:
            if any(matches(text, pattern_of(pattern, self._scope)) for pattern in patterns):
                return self.body(body)
        return Truth.YES

    def _for(self, loop: For) -> Truth:
        words = self.arguments if loop.words is None else self._fields(loop.words)
        truth = Truth.YES
        for word in [*words]:
            self.variables[loop.name] = word
            try:
                truth = self.body(loop.body)
            except Leave as leave:
                if leave.kind == "break":
                    break
                if leave.kind != "continue":
                    raise
        return truth

    def _while(self, loop: While) -> Truth:
        while True:
            truth = self.body(loop.condition)
            truth = ~truth if loop.is_until else truth
            if truth.is_open:
                return self._either(truth, [lambda: self.body(loop.body), lambda: Truth.YES])
            if truth is Truth.NO:
                return Truth.YES
            try:
                self.body(loop.body)
            except Leave as leave:
                if leave.kind == "break":
                    return Truth.YES
                if leave.kind != "continue":
                    raise

    def _fields(self, words: Iterable[Word]) -> list[str]:
        return [field for word in words for field in fields_of(word, self._scope)]

    def _simple(self, command: Simple) -> Truth:
        self._captured = Truth.YES
        words = self._fields(command.words)
        given = {name: text_of(word, self._scope) for name, word in command.assignments}
        if not words:
            self.variables |= given
            captured = self._captured
            return self._redirected(lambda: captured, command.redirects)
        return self._redirected(lambda: self.call(words[0], words[1:]), command.redirects)

    def _redirected(self, act: Callable[[], Truth], redirects: Sequence[Redirect]) -> Truth:
        """Follow commands, and write what they print where it is redirected to."""
        for redirect in redirects:
            if redirect.operator == "<<":
                self.document = text_of(redirect.word, self._scope)
        targets = [
            (redirect, text_of(redirect.word, self._scope))
            for redirect in redirects
            if redirect.operator in (">", ">>", ">&") and redirect.number in ("", "1")
        ]
        truth, text = self._heard(act)
        self.document = None
        if not targets:
            self.say(text)
            return truth
        redirect, path = targets[-1]
        if redirect.operator != ">&" and not path.startswith(_NOWHERE):
            self.host.write(path, text, is_added=redirect.operator == ">>")
        return truth

    def call(self, name: str, arguments: Sequence[str]) -> Truth:
        """Run a function, a command of the shell itself, or one of the host's."""
        known = certainty(name)
        if known is Truth.LATER:
            return known
        if known.is_open:
            raise UnreadableError("they run a command that only a running system knows")
        if name in self._functions:
            return self._function(name, arguments)
        own = BUILTINS.get(name)
        return self.host.run(name, arguments, self) if own is None else own(self, arguments)

    def _function(self, name: str, arguments: Sequence[str]) -> Truth:
        before, self.arguments = self.arguments, [*arguments]
        try:
            return self._command(self._functions[name])
        except Leave as leave:
            if leave.kind != "return":
                raise
            return leave.truth
        finally:
            self.arguments = before

    def set_arguments(self, arguments: Sequence[str]) -> None:
        """Put other arguments in place of those that are there."""
        self.arguments = [*arguments]
