"""Control files: stanzas of fields (Debian Policy 5.1; deb822(5))."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def stanzas(lines: Iterable[str]) -> Iterator[dict[str, str]]:
    """Give stanza after stanza: field, in lower case, to value; lines of one value are joined by newlines.

    Lines may end in a newline. Comments are left out. A line that is no field's is a ValueError.
    """
    fields: dict[str, str] = {}
    name = ""
    for raw in lines:
        line = raw.rstrip()
        if not line:
            if fields:
                yield fields
            fields, name = {}, ""
        elif line[0] in " \t":
            if not name:
                raise ValueError(f"a line continues no field: {line[:60]!a}")
            fields[name] += f"\n{line.strip()}"
        elif line[0] != "#":
            head, separator, value = line.partition(":")
            name = head.lower()
            if not separator or not head or " " in head:
                raise ValueError(f"no field of a control file: {line[:60]!a}")
            if name in fields:
                raise ValueError(f"the field {head[:60]!a} stands there twice")
            fields[name] = value.strip()
    if fields:
        yield fields
