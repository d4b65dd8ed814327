"""What uv says, as one of our errors."""

from __future__ import annotations

import pytest

from reconciler.clients.child import Done
from reconciler.clients.installer import failure
from reconciler.errors import BuildError, ReconcilerError, StoreError, UnavailableError

ADDRESS = "https://user:hunter2@index.invalid/simple/six/?token=hunter2"


@pytest.mark.parametrize(
    ("said", "status", "kind"),
    [
        ("error: Failed to extract\n  cause: No space left on device (os error 28)", 2, StoreError),
        ("error: x\n  cause: Disk quota exceeded (os error 122)", 2, StoreError),
        ("error: x\n  cause: Read-only file system (os error 30)", 2, StoreError),
        ("error: x\n  cause: Input/output error (os error 5)", 2, StoreError),
        ("", 153, StoreError),
        (f"error: x\n  cause: error sending request for url ({ADDRESS})", 2, UnavailableError),
        ("error: x\n  cause: dns error", 2, UnavailableError),
        ("error: x\n  cause: operation timed out", 2, UnavailableError),
        (f"error: Failed to fetch: `{ADDRESS}`\n  cause: 404", 2, BuildError),
        ("error: Hash mismatch for `six==1.16.0`", 1, BuildError),
        ("", 137, BuildError),
        ("", 1, BuildError),
    ],
)
@pytest.mark.threat("T13")
def test_an_error_has_one_line_its_kind_and_no_address(said: str, status: int, kind: type[ReconcilerError]) -> None:
    error = failure("the environment", Done(status=status, stdout="", stderr=said))
    assert type(error) is kind
    assert "\n" not in error.message
    shown = f"{error} {error.detail}"
    assert not [secret for secret in ("hunter2", "index.invalid") if secret in shown]


def test_a_killed_uv_names_the_signal_and_the_likely_reason() -> None:
    error = failure("the environment", Done(status=137, stdout="", stderr=""))
    assert "signal 9" in error.message
    assert "memory" in (error.hint or "")
