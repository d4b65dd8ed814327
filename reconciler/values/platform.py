"""The platforms that an environment can be made for, in OCI's words (image-spec 1.1, image-index.md)."""

from __future__ import annotations

from dataclasses import dataclass

SUPPORTED = ("linux/amd64", "linux/arm64", "darwin/arm64")
_OS = {"Linux": "linux", "Darwin": "darwin"}
_MACHINE = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True, order=True, slots=True)
class Platform:
    """An operating system and a processor architecture."""

    os: str
    architecture: str

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Read ``os/architecture``; one that no environment can be made for is a ValueError."""
        if text not in SUPPORTED:
            raise ValueError(f"unknown platform {text[:60]!r}, known are {', '.join(SUPPORTED)}")
        os, _, architecture = text.partition("/")
        return cls(os, architecture)

    @classmethod
    def from_uname(cls, system: str, machine: str) -> Platform:
        """Translate what ``uname`` calls a machine; an unknown one keeps its name."""
        return cls(_OS.get(system, system.lower()), _MACHINE.get(machine.lower(), machine.lower()))

    @property
    def tag(self) -> str:
        """The platform inside a tag: ``linux-amd64``."""
        return f"{self.os}-{self.architecture}"

    def __str__(self) -> str:
        return f"{self.os}/{self.architecture}"
