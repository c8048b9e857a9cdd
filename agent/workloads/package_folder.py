"""Names the files of packages, puts them in place, and clears away what belongs to nobody."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Collection
from pathlib import Path

from agent.errors import PermanentError, TransientError
from agent.workloads.part_file import sync_folder


class PackageFolder:
    """Is the folder of all package files: `<generation>.part` on the way in, then `.tar`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def prepare(self) -> None:
        """Make the folder; raises PermanentError where that cannot be."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise PermanentError(
                f"{self.path} cannot be made: {error.strerror}; check node.state_dir"
            ) from error

    @staticmethod
    def new_generation() -> str:
        """Return a name that no file ever had."""
        return secrets.token_hex(8)

    def part(self, generation: str) -> Path:
        """Return where a file is while it comes in."""
        return self.path / f"{generation}.part"

    def file(self, generation: str) -> Path:
        """Return where a file is once it is whole and verified."""
        return self.path / f"{generation}.tar"

    def publish(self, generation: str) -> None:
        """Give a whole file its name; the disk has it on return. Raises TransientError."""
        try:
            self.part(generation).rename(self.file(generation))
            sync_folder(self.path)
        except OSError as error:
            raise TransientError(f"{self.path} does not work: {error.strerror}") from error

    def unpublish(self, generation: str) -> None:
        """Take the name back where the row never came to say it; a missing file is no error."""
        with contextlib.suppress(OSError):
            self.file(generation).rename(self.part(generation))

    def remove(self, generation: str | None) -> None:
        """Remove what there is of a file; what cannot be removed goes at the next start."""
        if generation is None:
            return
        for path in (self.part(generation), self.file(generation)):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def remove_part(self, generation: str) -> None:
        """Remove a file that did not become whole, if it is there."""
        with contextlib.suppress(OSError):
            self.part(generation).unlink(missing_ok=True)

    def remove_others(self, generations: Collection[str]) -> int:
        """Remove all files but those of these generations; return how many went."""
        count = 0
        for path in self.path.iterdir():
            if path.stem not in generations or path.suffix not in (".part", ".tar"):
                with contextlib.suppress(OSError):
                    path.unlink()
                    count += 1
        return count
