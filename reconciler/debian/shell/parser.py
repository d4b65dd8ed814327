"""Reads shell scripts (POSIX.1-2017, Shell Grammar); what is not understood is an :class:`UnreadableError`."""

from __future__ import annotations

import re

from reconciler.debian.shell.lexer import Lexer, Token
from reconciler.debian.shell.syntax import (
    Body,
    Case,
    Chain,
    Command,
    For,
    Function,
    Group,
    If,
    Literal,
    Pipeline,
    Redirect,
    Simple,
    UnreadableError,
    While,
    Word,
)

_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][\w-]*")
_REDIRECTIONS = frozenset(["<", ">", ">>", ">&", "<&", ">|", "<<"])
_MAX_DEPTH = 60


def parse_script(text: str, *, depth: int = 0) -> Body:
    """Read a whole script."""
    if depth > _MAX_DEPTH:
        raise UnreadableError("substitutions too deep in one another")
    parser = _Parser(Lexer(text, lambda inner: parse_script(inner, depth=depth + 1)).tokens())
    body = parser.body(frozenset())
    if not parser.is_done:
        raise UnreadableError("a command without a beginning")
    return body


class _Parser:
    """Goes through tokens from the left, and looks one ahead."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._place = 0
        self._depth = 0

    @property
    def is_done(self) -> bool:
        return self._place >= len(self._tokens)

    @property
    def _next(self) -> Token:
        return Token() if self.is_done else self._tokens[self._place]

    def _take(self) -> Token:
        token = self._next
        self._place += 1
        return token

    def _takes(self, *operators: str) -> bool:
        if self.is_done or self._next.operator not in operators:
            return False
        self._place += 1
        return True

    def _expect(self, word: str) -> None:
        self._newlines()
        token = self._take()
        if word not in (token.bare, token.operator):
            raise UnreadableError(f"a command without its {word}")

    def _newlines(self) -> None:
        while self._takes("\n"):
            pass

    def body(self, ends: frozenset[str]) -> Body:
        """Read commands up to one of some words or operators, which is left."""
        found: list[Command] = []
        while True:
            while self._takes(";", "\n", "&"):  # nothing runs, so nothing runs in the background
                pass
            token = self._next
            if self.is_done or token.bare in ends or token.operator in ends or token.operator in (")", ";;"):
                return tuple(found)
            found.append(self._chain())

    def _chain(self) -> Command:
        items: list[tuple[str, Command]] = [("", self._pipeline())]
        while self._next.operator in ("&&", "||"):
            operator = self._take().operator
            self._newlines()
            items.append((operator, self._pipeline()))
        return items[0][1] if len(items) == 1 else Chain(tuple(items))

    def _pipeline(self) -> Command:
        is_negated = False
        while self._next.bare == "!":
            self._take()
            is_negated = not is_negated
        commands = [self._command()]
        while self._takes("|"):
            self._newlines()
            commands.append(self._command())
        return commands[0] if len(commands) == 1 and not is_negated else Pipeline(tuple(commands), is_negated)

    def _command(self) -> Command:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise UnreadableError("commands too deep in one another")
        command = self._compound()
        self._depth -= 1
        return command

    def _compound(self) -> Command:
        if self._next.operator == "(":
            return self._group("(", ")")
        kinds = {"if": self._if, "case": self._case, "for": self._for, "while": self._while, "until": self._while}
        if self._next.bare == "function":  # bash's way to say what the parentheses say
            self._take()
        word = self._next.bare
        if word == "{":
            return self._group("{", "}")
        if word in kinds:
            return self._redirected(kinds[word]())
        if _NAME.fullmatch(word) and [token.operator for token in self._tokens[self._place + 1 :][:2]] == ["(", ")"]:
            self._place += 3
            self._newlines()
            return Function(word, self._command())
        return self._simple()

    def _redirected(self, command: Command) -> Command:
        redirects = self._redirects()
        return Group((command,), redirects=redirects) if redirects else command

    def _group(self, begin: str, end: str) -> Command:
        self._expect(begin)
        body = self.body(frozenset([end]))
        self._expect(end)
        return Group(body, is_subshell=begin == "(", redirects=self._redirects())

    def _if(self) -> Command:
        clauses: list[tuple[Body, Body]] = []
        otherwise: Body = ()
        self._expect("if")
        while True:
            condition = self.body(frozenset(["then"]))
            self._expect("then")
            clauses.append((condition, self.body(frozenset(["elif", "else", "fi"]))))
            word = self._take().bare
            if word == "elif":
                continue
            if word == "else":
                otherwise = self.body(frozenset(["fi"]))
                self._expect("fi")
            elif word != "fi":
                raise UnreadableError("an if without its fi")
            return If(tuple(clauses), otherwise)

    def _case(self) -> Command:
        self._expect("case")
        word = self._take().word
        self._expect("in")
        items = []
        self._newlines()
        while self._next.bare != "esac":
            self._takes("(")
            patterns = [self._take().word]
            while self._takes("|"):
                patterns.append(self._take().word)
            self._expect(")")
            items.append((tuple(patterns), self.body(frozenset(["esac"]))))
            self._newlines()
            if not self._takes(";;") and self._next.bare != "esac":
                raise UnreadableError("a case without its esac")
            self._newlines()
        self._expect("esac")
        return Case(word, tuple(items))

    def _for(self) -> Command:
        self._expect("for")
        name = self._take().bare
        self._newlines()
        words: list[Word] | None = None
        if self._next.bare == "in":
            self._take()
            words = []
            while self._next.word:
                words.append(self._take().word)
        self._takes(";")
        return For(name, None if words is None else tuple(words), self._done())

    def _while(self) -> Command:
        is_until = self._take().bare == "until"
        condition = self.body(frozenset(["do"]))
        return While(condition, self._done(), is_until)

    def _done(self) -> Body:
        self._expect("do")
        body = self.body(frozenset(["done"]))
        self._expect("done")
        return body

    def _simple(self) -> Command:
        assignments: list[tuple[str, Word]] = []
        words: list[Word] = []
        redirects: list[Redirect] = []
        while True:
            token = self._next
            if token.operator in _REDIRECTIONS:
                redirects += self._redirects()
            elif not token.word:
                break
            elif not words and (assignment := _assignment(token.word)):
                assignments.append(assignment)
                self._take()
            else:
                words.append(self._take().word)
        if not (assignments or words or redirects):
            raise UnreadableError(f"{self._next.operator or 'nothing'} where a command begins")
        return Simple(tuple(assignments), tuple(words), tuple(redirects))

    def _redirects(self) -> tuple[Redirect, ...]:
        found = []
        while self._next.operator in _REDIRECTIONS:
            token = self._take()
            word = self._take().word
            operator = {">|": ">", "<&": ">&"}.get(token.operator, token.operator)
            found.append(Redirect(operator, word, token.number))
        return tuple(found)


def _assignment(word: Word) -> tuple[str, Word] | None:
    first = word[0]
    if not isinstance(first, Literal) or first.is_quoted or not (found := _ASSIGNMENT.fullmatch(first.text)):
        return None
    return found[1], ((Literal(found[2]),) if found[2] else ()) + word[1:]
