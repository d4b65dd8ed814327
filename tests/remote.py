"""Our adapter for registries over HTTP, as tests open it: it waits for nobody."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

from reconciler.clients.registry.session import Session, Settings
from reconciler.registries.http import HttpRegistry

QUICK = Settings(timeout_s=5.0, limit_s=10.0)


def no_sleep(seconds: float) -> None:
    """Wait for nothing."""
    del seconds


def opened(
    address: str,
    prefix: str = "team",
    *,
    config: Path | None = None,
    settings: Settings = QUICK,
    sleep: Callable[[float], None] = no_sleep,
) -> HttpRegistry:
    """Open the registry at ``HOST:PORT``; ``config`` is a folder with Docker's config.json."""
    environ = {"HOME": "/nonexistent", **({"DOCKER_CONFIG": str(config)} if config else {})}
    return HttpRegistry(Session(address, environ=environ, settings=settings, sleep=sleep), prefix, sleep=sleep)


def logged_in(folder: Path, address: str, username: str, password: str) -> Path:
    """Write what ``docker login`` writes; give the folder for DOCKER_CONFIG."""
    folder.mkdir(parents=True, exist_ok=True)
    auth = b64encode(f"{username}:{password}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {address: {"auth": auth}}}))
    return folder
