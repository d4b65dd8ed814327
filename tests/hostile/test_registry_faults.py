"""A registry over HTTP that is busy, breaks off or says nothing: at every step, once or for ever."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from reconciler.clients.http.transport import UnansweredError
from reconciler.clients.registry.retrying import TRIES, LaterError, Patience
from reconciler.clients.registry.session import Settings as Reach
from reconciler.errors import CorruptError, NotFoundError, RegistryError, TryLaterError, UnavailableError
from reconciler.registries.http import HttpRegistry
from tests import registry_faults as faults
from tests.registry_auth import Bearer
from tests.registry_faults import Fault, Point
from tests.registry_messages import Kind, Request
from tests.registry_server import RegistryServer, serving_registry
from tests.registry_store import Settings
from tests.remote import logged_in, no_sleep, opened
from tests.stocked import NAME, STORED, Stock, copied, image, stock

Counter = Callable[[str, int], None]
Do = Callable[[HttpRegistry, Stock], object]


def at(moment: timedelta) -> str:
    return format_datetime(datetime.now(UTC) + moment, usegmt=True)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing that is asked of a registry: which request it is about, and whether what came of it is right."""

    kind: Kind
    do: Do
    signed_in: bool = False


def _pushed(registry: HttpRegistry, held: Stock) -> bool:
    registry.push(NAME, held.second, tags=["current"])
    return registry.resolve(NAME, "current") == held.second.digest


def _uploaded(registry: HttpRegistry, held: Stock) -> bool:
    registry.push_blob(NAME, held.new)
    return b"".join(registry.fetch_blob(NAME, held.new.describe())) == held.new.data


def _mounted(registry: HttpRegistry, held: Stock) -> bool:
    registry.push_blob("beta", held.blob, mount_from=NAME)
    return registry.has_blob("beta", held.blob.describe())


def _deleted(registry: HttpRegistry, _held: Stock) -> bool:
    registry.delete(NAME, "v1")
    return registry.resolve(NAME, "v1") is None


def _read(registry: HttpRegistry, held: Stock) -> bool:
    return b"".join(registry.fetch_blob(NAME, held.blob.describe())) == held.blob.data


def _fetched(registry: HttpRegistry, held: Stock) -> bool:
    return registry.fetch(NAME, "v1") == held.first


STEPS = {
    "ping": Step(kind=Kind.PING, do=lambda registry, _: all(one.supported for one in registry.features(NAME))),
    "head manifest": Step(
        kind=Kind.HEAD_MANIFEST, do=lambda registry, held: registry.resolve(NAME, "v1") == held.first.digest
    ),
    "get manifest": Step(kind=Kind.GET_MANIFEST, do=_fetched),
    "head blob": Step(kind=Kind.HEAD_BLOB, do=lambda registry, held: registry.has_blob(NAME, held.blob.describe())),
    "get blob": Step(kind=Kind.GET_BLOB, do=_read),
    "start upload": Step(kind=Kind.START_UPLOAD, do=_uploaded),
    "mount": Step(kind=Kind.MOUNT, do=_mounted),
    "put upload": Step(kind=Kind.PUT_UPLOAD, do=_uploaded),
    "put manifest": Step(kind=Kind.PUT_MANIFEST, do=_pushed),
    "tags": Step(kind=Kind.TAGS, do=lambda registry, _: registry.tags(NAME) == ("current", "v1")),
    "catalog": Step(kind=Kind.CATALOG, do=lambda registry, _: registry.repositories() == (NAME,)),
    "token": Step(kind=Kind.TOKEN, do=_fetched, signed_in=True),
    "token for writing": Step(kind=Kind.TOKEN, do=_pushed, signed_in=True),
    "delete": Step(kind=Kind.DELETE_MANIFEST, do=_deleted),
}


@dataclass(frozen=True, kw_only=True)
class Wrong:
    """What goes wrong. ``later``: it says when to come again, which is an error of its own; ``refused``: too late."""

    fault: Fault
    later: bool = False
    refused: bool = False


def _busy(status: int, retry_after: str | None, **rest: bool) -> Wrong:
    fault = faults.status(status) if retry_after is None else faults.status(status, Retry_After=retry_after)
    return Wrong(fault=fault, **rest)


HUGE = "9" * 400
BUSY = {
    "429": _busy(429, None, later=True),
    "429, in no time": _busy(429, "0", later=True),
    "429, in 2 s": _busy(429, "2", later=True),
    "429, in -5 s": _busy(429, "-5", later=True),
    "429, in a day": _busy(429, "86400", later=True, refused=True),
    "429, in aeons": _busy(429, HUGE, later=True, refused=True),
    "429, at a date": _busy(429, at(timedelta(seconds=3)), later=True),
    "429, at a date long ago": _busy(429, "Wed, 21 Oct 2015 07:28:00 GMT", later=True),
    "429, at a date far off": _busy(429, "Fri, 31 Dec 9999 23:59:59 GMT", later=True, refused=True),
    "429, rubbish": _busy(429, "soon; maybe, 3.5e9 \x7f", later=True),
    "429, half a number": _busy(429, "1.5", later=True),
    "408": _busy(408, None),
    "500": _busy(500, None),
    "502": _busy(502, None),
    "503": _busy(503, None),
    "503, in 2 s": _busy(503, "2", later=True),
    "503, in -1 s": _busy(503, "-1"),
    "504": _busy(504, None),
    "502 of a proxy": Wrong(fault=faults.answer(502, b"<html>Bad gateway</html>" * 9, content_type="text/html")),
    "503 before the body": Wrong(fault=faults.status(503, early=True)),
}
BROKEN = {
    **{f"reset: {point.value}": Wrong(fault=faults.reset(point)) for point in Point if point is not Point.END},
    "half an answer": Wrong(fault=faults.truncated()),
    "no length that fits": Wrong(fault=faults.wrong_length(7)),
    "520 of a proxy": _busy(520, None),
}
BODY = {
    f"reset: {Point.AFTER_HEADERS.value}",
    f"reset: {Point.MIDDLE.value}",
    "half an answer",
    "silence amid the answer",
}
DONE_BY_THEN = {f"reset: {Point.AFTER_WORK.value}", "no length that fits"}
SILENT = {
    "silence": Wrong(fault=faults.stall(3600)),
    "silence, the work done": Wrong(fault=faults.stall(3600, Point.AFTER_WORK)),
    "silence amid the answer": Wrong(fault=faults.stall(3600, Point.MIDDLE)),
}


@contextmanager
def prepared(
    step: Step, folder: Path, reach: Reach | None = None
) -> Iterator[tuple[RegistryServer, Callable[[], HttpRegistry], Stock, list[float]]]:
    """Serve a registry that holds something, and say how it is opened anew; it is told what is slept."""
    slept: list[float] = []
    with serving_registry(Settings(auth=Bearer() if step.signed_in else None)) as server:
        config = logged_in(folder / "docker", server.address, "user", "secret") if step.signed_in else None

        def anew() -> HttpRegistry:
            return opened(
                server.address, config=config, settings=reach or Reach(timeout_s=5, limit_s=60), sleep=slept.append
            )

        yield server, anew, stock(server, anew()), slept


ANSWERED = {**BUSY, **BROKEN}


def reached(server: RegistryServer, fault: Fault, kind: Kind, *, times: int = 1_000_000) -> Callable[[], int]:
    """Let requests of a kind fail, the first so many of them; tell how many did."""
    asking = faults.first(fault, kind, times=times)
    count = 0

    def ask(request: Request) -> Fault | None:
        nonlocal count
        found = asking(request)
        count += found is not None
        return found

    server.fault = ask
    return lambda: count


@pytest.mark.parametrize("name", STEPS)
def test_what_fails_once_is_asked_again_and_comes_out_right(name: str, tmp_path: Path, count_cases: Counter) -> None:
    step = STEPS[name]
    with prepared(step, tmp_path) as (server, anew, held, slept):
        full = server.store
        for what, wrong in ANSWERED.items():
            if is_answered_all_the_same(step, what):
                continue
            server.store = copied(full)
            slept.clear()
            failed = reached(server, wrong.fault, step.kind, times=1)
            if wrong.refused:
                with pytest.raises(TryLaterError) as caught:
                    step.do(anew(), held)
                assert "\n" not in str(caught.value)
                assert len(str(caught.value)) < 400, what
            else:
                assert step.do(anew(), held) is True, what
            assert failed() == 1, what
            assert sum(slept) < 60, what
            count_cases("F8", 1)


@pytest.mark.parametrize("name", STEPS)
def test_what_fails_for_ever_is_given_up_soon_and_moves_nothing(
    name: str, tmp_path: Path, count_cases: Counter
) -> None:
    step = STEPS[name]
    with prepared(step, tmp_path) as (server, anew, held, slept):
        full = server.store
        for what, wrong in ANSWERED.items():
            server.store = store = copied(full)
            slept.clear()
            server.asked.clear()
            reached(server, wrong.fault, step.kind)
            if is_answered_all_the_same(step, what):
                continue
            with pytest.raises(UnavailableError) as caught:
                step.do(anew(), held)
            assert isinstance(caught.value, TryLaterError) == wrong.later, what
            assert caught.value.hint, what
            assert "\n" not in str(caught.value)
            assert server.kinds().count(step.kind) <= (1 if wrong.refused else TRIES), what
            assert len(server.asked) <= 3 * TRIES, what
            assert sum(slept) < 60, what
            if what not in DONE_BY_THEN:
                assert store.repositories[STORED].tags == full.repositories[STORED].tags, what
            count_cases("F8", 1)


def is_answered_all_the_same(step: Step, what: str) -> bool:
    """Tell whether what was asked is known all the same: an answer without a body has nothing to break."""
    kind = step.kind
    if kind is Kind.GET_BLOB and what == "no length that fits":
        return True  # that is no fault but a lie
    if kind.startswith("head"):
        return what in {*BODY, "no length that fits"}
    if kind is Kind.PUT_UPLOAD and what in DONE_BY_THEN:
        return True  # then it is seen to be there
    return what in BODY and kind.startswith(("start", "mount", "put", "delete"))


@pytest.mark.parametrize("name", STEPS)
def test_one_silence_is_outlived(name: str, tmp_path: Path, count_cases: Counter) -> None:
    step = STEPS[name]
    with prepared(step, tmp_path, Reach(timeout_s=0.3, limit_s=10)) as (server, anew, held, _):
        full = server.store
        for what, wrong in SILENT.items():
            if is_answered_all_the_same(step, what):
                continue
            server.store = copied(full)
            failed = reached(server, wrong.fault, step.kind, times=1)
            assert step.do(anew(), held) is True, what
            assert failed() == 1, what
            count_cases("F8", 1)


@pytest.mark.threat("F8")
def test_who_took_little_is_not_waited_for_as_long_as_who_took_much(tmp_path: Path) -> None:
    step = STEPS["put upload"]
    with prepared(step, tmp_path, Reach(timeout_s=0.2, limit_s=6)) as (server, anew, held, _):
        reached(server, SILENT["silence"].fault, step.kind, times=3)
        assert step.do(anew(), held) is True


@pytest.mark.parametrize("name", STEPS)
def test_a_silence_for_ever_has_an_end(name: str, tmp_path: Path, count_cases: Counter) -> None:
    step = STEPS[name]
    with prepared(step, tmp_path, Reach(timeout_s=0.15, limit_s=0.25)) as (server, anew, held, _):
        full = server.store.repositories[STORED].tags.copy()
        server.asked.clear()
        reached(server, SILENT["silence"].fault, step.kind)
        with pytest.raises(UnavailableError, match=r"says nothing|time is over") as caught:
            step.do(anew(), held)
        assert not isinstance(caught.value, TryLaterError)
        assert server.kinds().count(step.kind) <= TRIES
        assert server.store.repositories[STORED].tags == full
        count_cases("F8", 1)


@pytest.mark.threat("F8")
@pytest.mark.parametrize("name", STEPS)
def test_a_host_whose_name_leads_nowhere_is_said_to_have_none(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    slept: list[float] = []
    made = image("a")
    held = Stock(first=made.manifest, second=made.manifest, blob=made.blobs[-1], new=made.blobs[-1])
    with pytest.raises(UnavailableError, match="its name can't be resolved") as caught:
        STEPS[name].do(opened("registry.example.org", sleep=slept.append), held)
    assert caught.value.exit_code == 69
    assert len(slept) == TRIES - 1


# -- a silence of all -------------------------------------------------------------------------------------------


def test_after_a_long_silence_a_thousand_questions_are_answered_at_once(count_cases: Counter) -> None:
    with serving_registry() as server:
        held = stock(server)
        registry = opened(server.address, settings=Reach(timeout_s=0.1, limit_s=0.4))
        server.fault = faults.every(faults.stall(3600))
        began = time.monotonic()
        while time.monotonic() - began < 0.7:
            with pytest.raises(UnavailableError):
                registry.resolve(NAME, "v1")
        asked = len(server.asked)
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: _error_of(lambda: registry.fetch(NAME, held.first.digest)), range(1000)))
        silent = [one for one in found if "has answered nothing for" in str(one)]
        assert len(silent) >= 900
        assert all(isinstance(one, UnavailableError) for one in found)
        assert len(server.asked) - asked <= 100 * TRIES
        count_cases("F8", 1)


def _error_of(ask: Callable[[], object]) -> RegistryError | None:
    try:
        ask()
    except RegistryError as error:
        return error
    return None


def test_a_silence_ends_with_any_answer_and_is_none_where_nobody_asks(count_cases: Counter) -> None:
    """Busy, denied and not found are answers; a registry that nobody asked for an hour was not silent for an hour."""
    patience = Patience("registry.example.org", limit_s=0.05, sleep=no_sleep)

    def ask(error: Exception | None) -> None:
        for one in patience.tries("a question"):
            with one:
                if error is not None:
                    raise error
                return

    answers = [None, NotFoundError("none"), LaterError("busy", status=503, wait_s=None), CorruptError("bad")]
    for answer in answers:
        for error in (UnansweredError("silence"), answer):
            assert (_error_of(lambda error=error: ask(error)) is None) == (error is None)  # type: ignore[misc]
        time.sleep(0.06)
        assert _error_of(lambda: ask(None)) is None, answer
        count_cases("F8", 1)
    assert _error_of(lambda: ask(UnansweredError("silence"))) is not None
    time.sleep(0.06)
    assert _error_of(lambda: ask(None)) is None
