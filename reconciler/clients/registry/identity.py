"""Who we are at one registry: looked up when it is first asked for, and once more where it is refused."""

from __future__ import annotations

import threading
from collections.abc import Callable

from reconciler.clients.registry.credentials import Credential
from reconciler.errors import DeniedError


class Identity:
    """A credential that ``find`` gives, kept; safe for threads, so that a helper is started once for all of them."""

    def __init__(self, find: Callable[[], Credential | None]) -> None:
        self._find = find
        self._turn = threading.Lock()
        self._is_known = False
        self._is_final = False
        self._found: Credential | None = None
        self._failure: DeniedError | None = None

    def current(self) -> Credential | None:
        """Give the credential; none where there is none. What could not be looked up is not looked up again."""
        with self._turn:
            if not self._is_known:
                self._look()
            if self._failure is not None:
                raise DeniedError(self._failure.message, hint=self._failure.hint)
            return self._found

    def renew(self, refused: Credential) -> Credential | None:
        """Give what may do instead of a refused credential, which may be over by now; none where nothing else is there.

        A credential is looked up again once, until it changes.
        """
        with self._turn:
            if self._found == refused and not self._is_final:
                self._look()
                self._is_final = self._found == refused
            return None if self._found == refused else self._found

    def _look(self) -> None:
        try:
            self._found, self._failure = self._find(), None
        except DeniedError as error:
            self._failure = error
        self._is_known = True
