"""Every error of the engine's SDK becomes one of ours."""

from __future__ import annotations

from collections.abc import Iterator
from http.client import HTTPException

import pytest
import requests
from docker import errors  # type: ignore[import-untyped]  # the SDK has no types
from urllib3.exceptions import HTTPError

from reconciler.clients.engine import Container, engine_errors, start_errors
from reconciler.errors import BuildError, CommandMissingError, CommandRefusedError, ReconcilerError, UnavailableError

PLACES = frozenset({"builtins", "docker", "http", "requests", "socket", "urllib3"})
CONTAINER = Container(image="sha256:0", command=("program", "argument"))


def below(root: type[Exception]) -> Iterator[type[Exception]]:
    yield root
    for child in root.__subclasses__():
        yield from below(child)


ROOTS = (errors.DockerException, errors.StreamParseError, requests.RequestException, HTTPError, HTTPException, OSError)
KINDS = sorted({kind for root in ROOTS for kind in below(root) if kind.__module__.partition(".")[0] in PLACES}, key=str)


def made(kind: type[Exception], monkeypatch: pytest.MonkeyPatch) -> Exception:
    error = kind("why\nnot") if issubclass(kind, errors.APIError) else kind.__new__(kind)
    error.args = ("why\nnot",)
    try:
        str(error)
    except AttributeError:  # its text needs what only the library can fill in
        monkeypatch.setattr(kind, "__str__", Exception.__str__)
    return error


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_no_error_of_the_sdk_is_let_through(kind: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    error = made(kind, monkeypatch)
    with pytest.raises(ReconcilerError) as raised, engine_errors("do it"):
        raise error
    assert "\n" not in raised.value.message
    assert raised.value.message.startswith("the Docker Engine can't do it: ")


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), RuntimeError("x"), BuildError("x")])
def test_an_error_of_ours_is_not_taken_for_one_of_the_engine(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, engine_errors("do it"):
        raise error
    assert raised.value is error


def test_who_does_not_answer_is_unavailable_and_who_refuses_is_not() -> None:
    for error, kind in ((requests.ConnectionError("x"), UnavailableError), (errors.APIError("x"), BuildError)):
        with pytest.raises(kind), engine_errors("do it"):
            raise error


@pytest.mark.parametrize(
    ("said", "kind", "code"),
    [
        ('exec: "program": executable file not found in $PATH: unknown', CommandMissingError, 127),
        ('exec: "/program": stat /program: no such file or directory', CommandMissingError, 127),
        ('exec: "program": permission denied: unknown', CommandRefusedError, 126),
        ("could not select device driver with capabilities: [[gpu]]", BuildError, 1),
        ("something else", BuildError, 1),
    ],
)
def test_what_keeps_a_command_from_starting_ends_as_in_a_shell(
    said: str, kind: type[ReconcilerError], code: int
) -> None:
    with pytest.raises(kind) as raised, start_errors(CONTAINER):
        raise errors.APIError("x", explanation=said)
    assert raised.value.exit_code == code
