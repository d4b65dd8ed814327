"""Cuts a shell script into words and operators (POSIX.1-2017, Token Recognition)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from reconciler.debian.shell.syntax import (
    UNKNOWN_OPERATOR,
    Body,
    Literal,
    Part,
    Substitution,
    UnreadableError,
    Variable,
    Word,
)

MAX_SCRIPT = 1 << 18
"""Bytes of a script that is read."""
_OPERATOR = re.compile(r";;|&&|\|\||<<-?|>>|>&|<&|>\||[;&|()<>\n]")
_NUMBER = re.compile(r"\d+(?=[<>])")
_BLANK = re.compile(r"(?:[ \t\r]|\\\n)+|#[^\n]*")
_PLAIN = re.compile(r"[^\s\\'\"$`;&|()<>}]+")
_QUOTED = re.compile(r"[^\\\"$`]+")
_PARAMETER = re.compile(r"\{(#?)([A-Za-z_]\w*|\d+|[@*#?$!])(:?[-=+?]|%%?|##?)?|([A-Za-z_]\w*|[0-9@*#?$!])")

Parse = Callable[[str], Body]


@dataclass(frozen=True, slots=True)
class Token:
    """A word with its parts, or an operator; ``number`` is the file descriptor before a redirection."""

    operator: str = ""
    word: Word = ()
    number: str = ""

    @property
    def bare(self) -> str:
        """The text of a word that is not quoted at all, as reserved words are; nothing for others."""
        if len(self.word) == 1 and isinstance(self.word[0], Literal) and not self.word[0].is_quoted:
            return self.word[0].text
        return ""


class Lexer:
    """Reads a script from its beginning; ``parse`` reads what stands in a command substitution."""

    def __init__(self, text: str, parse: Parse) -> None:
        if len(text) > MAX_SCRIPT:
            raise UnreadableError(f"a script of {len(text)} bytes")
        self._text = text
        self._place = 0
        self._parse = parse
        self._waiting: list[tuple[int, bool]] = []  # here-documents: the place of the token, whether tabs are cut
        self._tokens: list[Token] = []

    def tokens(self) -> list[Token]:
        """Give all tokens; line ends are operators."""
        while self._place < len(self._text):
            if blank := _BLANK.match(self._text, self._place):
                self._place = blank.end()
            elif number := _NUMBER.match(self._text, self._place):
                self._place = number.end()
                self._operator(number[0])
            elif _OPERATOR.match(self._text, self._place):
                self._operator("")
            else:
                self._tokens.append(Token(word=self._word()))
        return self._tokens

    def _operator(self, number: str) -> None:
        found = _OPERATOR.match(self._text, self._place)
        assert found is not None  # noqa: S101  # both callers looked
        self._place = found.end()
        self._tokens.append(Token(operator=found[0].rstrip("-"), number=number))
        if found[0].startswith("<<"):
            self._waiting.append((len(self._tokens), found[0].endswith("-")))
        if found[0] == "\n":
            self._here_documents()

    def _here_documents(self) -> None:
        for place, is_indented in self._waiting:
            if place >= len(self._tokens):
                raise UnreadableError("a here-document without an end")
            word = self._tokens[place].word
            end = "".join(part.text for part in word if isinstance(part, Literal))
            text = self._lines_until(end, is_indented=is_indented)
            is_quoted = any(isinstance(part, Literal) and part.is_quoted for part in word)
            parts = (Literal(text, is_quoted=True),) if is_quoted else Lexer(text, self._parse).document()
            self._tokens[place] = replace(self._tokens[place], word=parts)
        self._waiting.clear()

    def _lines_until(self, end: str, *, is_indented: bool) -> str:
        lines: list[str] = []
        while self._place < len(self._text):
            line, separator, _ = self._text[self._place :].partition("\n")
            self._place += len(line) + len(separator)
            line = line.lstrip("\t") if is_indented else line
            if line == end:
                return "".join(lines)
            lines.append(f"{line}\n")
        raise UnreadableError("a here-document without an end")

    def document(self) -> Word:
        """Read the whole text as a here-document's, in which variables stand for their values."""
        parts: list[Part] = []
        while self._place < len(self._text):
            parts += self._quoted_part(ends="")
        return tuple(parts)

    # -- words --------------------------------------------------------------------------------------------------

    def _word(self, *, in_braces: bool = False) -> Word:
        """Read to a blank or an operator, or to the brace that ends an expansion."""
        parts: list[Part] = []
        while self._place < len(self._text):
            letter = self._text[self._place]
            if plain := _PLAIN.match(self._text, self._place):
                self._place = plain.end()
                parts.append(Literal(plain[0]))
            elif letter in "'\"\\$`":
                parts += self._special(letter)
            elif letter == "}" if in_braces else letter != "}":
                break
            else:
                self._place += 1
                parts.append(Literal(letter))
        if len(parts) > 1 and all(isinstance(part, Literal) and not part.is_quoted for part in parts):
            return (Literal("".join(part.text for part in parts if isinstance(part, Literal))),)
        return tuple(parts)

    def _special(self, letter: str) -> list[Part]:
        if letter == "'":
            return [Literal(self._until("'"), is_quoted=True)]
        if letter == '"':
            return self._double_quoted()
        if letter == "\\":
            self._place += 2
            escaped = self._text[self._place - 1 : self._place]
            return [] if escaped == "\n" else [Literal(escaped, is_quoted=True)]
        return [self._expansion(is_quoted=False)]

    def _until(self, end: str) -> str:
        """Take the text up to the mark that ends what begins here."""
        place = self._text.find(end, self._place + 1)
        if place < 0:
            raise UnreadableError("a quotation without an end")
        text = self._text[self._place + 1 : place]
        self._place = place + 1
        return text

    def _double_quoted(self) -> list[Part]:
        self._place += 1
        parts: list[Part] = [Literal("", is_quoted=True)]
        while not self._text.startswith('"', self._place):
            if self._place >= len(self._text):
                raise UnreadableError("a quotation without an end")
            parts += self._quoted_part(ends='"')
        self._place += 1
        return parts

    def _quoted_part(self, *, ends: str) -> list[Part]:
        if plain := _QUOTED.match(self._text, self._place):
            self._place = plain.end()
            return [Literal(plain[0], is_quoted=True)]
        letter = self._text[self._place]
        if letter == "\\":
            escaped = self._text[self._place + 1 : self._place + 2]
            self._place += 2
            kept = "" if escaped == "\n" else escaped if escaped in f"$`\\{ends}" and escaped else f"\\{escaped}"
            return [Literal(kept, is_quoted=True)]
        if letter == '"':
            self._place += 1
            return [Literal(letter, is_quoted=True)]
        return [self._expansion(is_quoted=True)]

    def _expansion(self, *, is_quoted: bool) -> Part:
        """Read what stands behind a dollar sign or a backquote."""
        if self._text[self._place] == "`":
            return Substitution(self._parse(self._until("`").replace("\\$", "$")), is_quoted)
        if self._text.startswith("$(", self._place):
            is_arithmetic = self._text.startswith("$((", self._place)  # nobody knows what comes out
            inner = self._parenthesised()
            return Substitution(() if is_arithmetic else self._parse(inner), is_quoted)
        self._place += 1
        return self._parameter(is_quoted=is_quoted)

    def _parameter(self, *, is_quoted: bool) -> Part:
        found = _PARAMETER.match(self._text, self._place)
        if found is None:
            return Literal("$", is_quoted)
        self._place = found.end()
        if found[4]:
            return Variable(found[4], is_quoted=is_quoted)
        word = self._word(in_braces=True) if found[3] else ()
        while found[3] and not self._text.startswith("}", self._place) and self._place < len(self._text):
            word = (*word, Literal(self._text[self._place], is_quoted=True))
            self._place += 1
            word += self._word(in_braces=True)
        if not self._text.startswith("}", self._place):
            self._until("}")
            return Variable("", UNKNOWN_OPERATOR, (), is_quoted)
        self._place += 1
        return Variable(found[2], "length" if found[1] else found[3] or "", word, is_quoted)

    def _parenthesised(self) -> str:
        """Take the text of a command substitution, to the parenthesis that ends it."""
        begin, depth, quote, place = self._place + 2, 1, "", self._place + 2
        while place < len(self._text):
            letter = self._text[place]
            if letter == "\\":
                place += 1
            elif quote:
                quote = "" if letter == quote else quote
            elif letter in "'\"":
                quote = letter
            else:
                depth += {"(": 1, ")": -1}.get(letter, 0)
            place += 1
            if not depth:
                self._place = place
                return self._text[begin : place - 1]
        raise UnreadableError("a substitution without an end")
