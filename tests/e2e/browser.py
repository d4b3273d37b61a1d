"""Pages looked at: a headless browser that writes what it sees to a PNG."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

COMMAND = "chromium"
FOLDER_VARIABLE = "MEDIAFM_SCREENSHOTS"
"""Where the pictures go that somebody wants to look at; else to the test's own folder."""
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
TIMEOUT_SECONDS = 600.0
"""Of patience, no goal: the machine may be busy."""
PNG_HEAD = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Browser:
    """Chromium, with a profile of its own for each page.

    pictures: the folder of the PNGs. scratch: of the profiles.
    """

    program: str
    pictures: Path
    scratch: Path
    size: tuple[int, int] = (1600, 1200)

    @classmethod
    def found(cls, scratch: Path) -> Browser | None:
        """The machine's chromium; None where there is none."""
        program = shutil.which(COMMAND)
        if program is None:
            return None
        pictures = Path(os.environ.get(FOLDER_VARIABLE) or scratch / "pictures")
        pictures.mkdir(parents=True, exist_ok=True)
        return cls(program, pictures, scratch)

    def look(self, url: str, name: str, seconds: float = 15.0) -> str:
        """Takes a picture of the page as it stands after so many seconds of its own time; returns its words."""
        picture, profile = self.pictures / f"{name}.png", self.scratch / f"profile-{name}"
        picture.unlink(missing_ok=True)
        width, height = self.size
        done = subprocess.run(
            [
                self.program,
                *QUIET,
                f"--user-data-dir={profile}",
                f"--window-size={width},{height}",
                f"--virtual-time-budget={round(seconds * 1000)}",
                f"--screenshot={picture}",
                "--dump-dom",
                url,
            ],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        shutil.rmtree(profile, ignore_errors=True)
        assert done.returncode == 0, done.stderr[-2000:]
        head = picture.read_bytes()[:24]
        assert head.startswith(PNG_HEAD)
        assert struct.unpack(">II", head[16:24]) == self.size
        body = re.sub(r"<(script|style)\b.*?</\1>", " ", done.stdout, flags=re.DOTALL)
        return " ".join(re.sub(r"<[^>]+>", " ", body).split())
