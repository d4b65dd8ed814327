"""Wheels made for tests, right ones and wrong ones."""

from __future__ import annotations

import csv
import io
import stat
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

FILE = "thing-1.0-py3-none-any.whl"
INFO = "thing-1.0.dist-info"
WHEEL = b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
METADATA = b"Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n\nWords.\n"
PLAIN = {"thing/__init__.py": b"value = 1\n", "thing/data.bin": bytes(range(256)) * 20}


def hash_of(data: bytes) -> str:
    """Hash as RECORD does."""
    return "sha256=" + urlsafe_b64encode(sha256(data).digest()).decode().rstrip("=")


@dataclass
class Case:
    """The parts of a wheel, each of which a test may spoil; none leaves a file out."""

    files: Mapping[str, bytes] = field(default_factory=lambda: dict(PLAIN))
    wheel: bytes | None = WHEEL
    metadata: bytes | None = METADATA
    points: bytes | None = None
    record: bytes | None = b""
    info: str = INFO
    modes: Mapping[str, int] = field(default_factory=dict)
    method: int = zipfile.ZIP_DEFLATED
    twice: str = ""

    def listed(self) -> dict[str, bytes]:
        """Give every file, with a right RECORD unless one is given."""
        about = {"WHEEL": self.wheel, "METADATA": self.metadata, "entry_points.txt": self.points}
        found = dict(self.files)
        found |= {f"{self.info}/{name}": data for name, data in about.items() if data is not None}
        record = self.record
        if record == b"":
            text = io.StringIO()
            rows = [(name, hash_of(data), str(len(data))) for name, data in found.items()]
            csv.writer(text, lineterminator="\n").writerows([*rows, (f"{self.info}/RECORD", "", "")])
            record = text.getvalue().encode()
        return found if record is None else {**found, f"{self.info}/RECORD": record}

    def build(self) -> bytes:
        """Write the archive."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", self.method) as archive:
            listed = self.listed()
            for name, data in [*listed.items(), *([(self.twice, b"again")] if self.twice else [])]:
                info = zipfile.ZipInfo(name)
                info.external_attr = self.modes.get(name, stat.S_IFREG | 0o644) << 16
                info.compress_type = self.method
                archive.writestr(info, data)
        return buffer.getvalue()
