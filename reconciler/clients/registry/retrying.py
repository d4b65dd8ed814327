"""How often, and how long, a registry is asked again.

Tries are few, waits grow and are never longer than a registry asks for or the time that is left; who asks for more than
that is taken at its word: later. One silence is counted over all requests: where a registry has not answered anything
for its whole time, the next requests fail at once, so that a thousand of them end as soon as one.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC
from email.utils import parsedate_to_datetime

from reconciler.clients.http.transport import UnansweredError
from reconciler.errors import RegistryError, TryLaterError, UnavailableError

TRIES = 5
_FIRST_S = 0.2
_LONGEST_S = 10.0
_MAX_DIGITS = 9
_DAY_S = 86_400


class LaterError(Exception):
    """An answer after which the next try may do; ``wait_s`` is when, where it says so."""

    def __init__(self, said: str, *, status: int, wait_s: float | None) -> None:
        super().__init__(said)
        self.status = status
        self.wait_s = wait_s


class Patience:
    """The time that a registry gets: ``limit_s`` for one question with all its tries, and for one silence of all.

    ``sleep`` waits that many seconds; tests give their own.
    """

    def __init__(self, host: str, *, limit_s: float, sleep: Callable[[float], None] = time.sleep) -> None:
        self.limit_s = limit_s
        self._host = host
        self._sleep = sleep
        self._guard = threading.Lock()
        self._silence: tuple[float, float] | None = None

    def answered(self) -> None:
        """Note that the registry gave an answer."""
        with self._guard:
            self._silence = None

    def tries(self, what: str, *, length: int = 0) -> Iterator[Try]:
        """Give one try after another until one is done; ``length`` bytes to send or receive give it more time."""
        self._refuse_silent(what)
        end = time.monotonic() + self.limit_s + length / _SLOWEST
        wait_s = _FIRST_S
        former: LaterError | None = None
        for number in range(TRIES):
            one = Try(patience=self, what=what, end=end, last=number == TRIES - 1, length=length, former=former)
            yield one
            self._sleep(one.wait(wait_s))
            former = one.later
            wait_s *= 2

    def failed(self, what: str, error: Exception) -> UnavailableError:
        """Say what the last try ended with."""
        if isinstance(error, LaterError):
            after = f", and to wait {_span(error.wait_s)}" if error.wait_s else ""
            kind = TryLaterError if error.status == _TOO_MANY or error.wait_s else UnavailableError
            return kind(f"{what}: {error}{after}", hint="try again later")
        hint = getattr(error, "hint", "") or "try again later"
        return UnavailableError(f"{what}: {self._host} does not answer: {error}", hint=hint)

    def silent(self) -> None:
        """Note that there was no answer."""
        now = time.monotonic()
        with self._guard:
            self._silence = (self._silence[0] if self._silence else now, now)

    def _refuse_silent(self, what: str) -> None:
        now = time.monotonic()
        with self._guard:
            first, last = self._silence or (now, now)
            if now - last > self.limit_s:  # nobody asked meanwhile: that is no silence of the registry's
                self._silence = None
                return
        if now - first > self.limit_s:
            raise UnavailableError(
                f"{what}: {self._host} has answered nothing for {now - first:.0f} s", hint="try again later"
            )


_SLOWEST = 32 << 10
"""Bytes a second: what is slower does not come to an end."""
_TOO_MANY = 429


class Try:
    """One try: a context that keeps back what goes wrong, unless it is the last or its time is over.

    It is over at ``end`` (of the monotonic clock); ``length`` bytes are to be sent or received. ``former`` is what the
    try before was told: where time ends while it is waited for, that is the reason.
    """

    def __init__(  # noqa: PLR0913  # one argument a part of a try
        self, *, patience: Patience, what: str, end: float, last: bool, length: int, former: LaterError | None = None
    ) -> None:
        self.end = end
        self.length = length
        self.later: LaterError | None = None
        self._former = former
        self._patience = patience
        self._what = what
        self._last = last
        self._wait_s: float | None = None

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if error is None:
            self._patience.answered()
            return False
        if not isinstance(error, (UnansweredError, LaterError)):
            if isinstance(error, RegistryError) and not isinstance(error, UnavailableError):
                self._patience.answered()
            return False
        if isinstance(error, UnansweredError):
            self._patience.silent()
        else:
            self._patience.answered()
            self._wait_s = error.wait_s
            self.later = error
        left = self.end - time.monotonic()
        is_final = isinstance(error, UnansweredError) and error.is_final
        if self._last or is_final or left <= 0 or (self._wait_s is not None and self._wait_s > left):
            is_cut = isinstance(error, UnansweredError) and left <= 0
            raise self._patience.failed(self._what, (self._former if is_cut else None) or error) from error
        return True

    def wait(self, usual_s: float) -> float:
        """Say how long to wait before the next try: somewhat around the usual, and no less than was asked for."""
        left = max(0.0, self.end - time.monotonic())
        usual_s = min(usual_s * random.uniform(0.75, 1.25), _LONGEST_S)  # noqa: S311  # spreads clients, no secret
        return min(max(usual_s, self._wait_s or 0.0), left)


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds <= _DAY_S else "more than a day"


def retry_after(text: str | None, now: float) -> float | None:
    """Read Retry-After (RFC 9110, 10.2.3): seconds or a date; none where it says nothing that makes sense.

    ``now`` is the time of day in seconds since 1970.
    """
    text = (text or "").strip()
    if text.isascii() and text.isdecimal():
        return float(text) if len(text) <= _MAX_DIGITS else float(10**_MAX_DIGITS)
    try:
        moment = parsedate_to_datetime(text)
        # A date of HTTP is one of Greenwich, also where it does not say so.
        return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
