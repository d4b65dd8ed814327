"""What every refusal of the command line has to be: one clear line, the right code, and nothing written."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.repository import PROGRAM, TIMEOUT_S, Answer, Repository

HARMLESS = (".reconciler/cache", ".git/index")
"""What a command that refuses may write: derived values, and what git itself refreshes."""
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_PROBLEM = re.compile(r"[^ ].*: (error|warning): .+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A command that is refused: what is changed before, what is called, how it ends, and what is said."""

    arguments: tuple[str, ...]
    code: int
    says: tuple[str, ...]
    change: Callable[[Repository], object] | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    folder: str = "."
    ordinary: bool = False
    """Without the rights that let the superuser read and write everything."""


def copy(template: Repository, root: Path) -> Repository:
    """Give a test a repository of its own, registered and all, without building it again."""
    shutil.copytree(template.root, root, symlinks=True)
    return Repository(root, wheels=template.wheels, cache=template.cache)


def call(repository: Repository, case: Case, *, prefix: tuple[str, ...] = ()) -> Answer:
    """Run a case's command."""
    done = subprocess.run(
        [*prefix, str(PROGRAM), *case.arguments],
        cwd=repository.root / case.folder,
        env={**repository.environ, **case.variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return Answer(done.returncode, done.stdout.decode(), done.stderr.decode())


def check(answer: Answer, case: Case) -> None:
    """Hold an answer to the form: the code, one line that begins with ``error:`` and comes last, nothing raw."""
    said = f"exit {answer.code}\n{answer.out}\n{answer.err}"
    assert "Traceback" not in answer.err, said
    assert answer.code == case.code, said
    lines = answer.err.splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    assert len(errors) == 1, said
    rest = lines[: lines.index(errors[0])]
    assert all(_PROBLEM.fullmatch(line) for line in rest), said
    assert all(line.startswith("  ") for line in lines[lines.index(errors[0]) + 1 :]), said
    for text in case.says:
        assert text in answer.err or (case.arguments[0] == "validate" and text in answer.out), said
    assert_inert(answer)


def assert_inert(answer: Answer) -> None:
    """Hold what is printed to characters that no terminal obeys."""
    for text in (answer.out, answer.err):
        found = _CONTROL.search(text)
        assert found is None, f"{found} in {text!r}"


def tree(root: Path) -> dict[str, object]:
    """Give every path below a folder with its content, but for what may always be written."""
    found: dict[str, object] = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            relative = path.relative_to(root).as_posix()
            if not relative.startswith(HARMLESS):
                found[relative] = path.lstat().st_size if path.is_symlink() or path.is_fifo() else _content(path)
    return found


def _content(path: Path) -> object:
    size = path.stat().st_size
    return size if size > 1 << 22 else path.read_bytes()
