"""Brings the images of packages into the runtime, and takes them out again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Protocol

from agent.contracts import Runtime
from agent.errors import TransientError
from agent.model.workloads import InstalledPackage

logger = logging.getLogger(__name__)


class LoadedImages(Protocol):
    """Remembers, across a kill, which images the runtime may have from us."""

    def add(self, reference: str) -> None:
        """Note a reference before its image is loaded."""

    def discard(self, reference: str) -> None:
        """Forget a reference after its image was removed."""

    def all(self) -> frozenset[str]:
        """Return every reference."""


class ImageLoader:
    """Loads an image from its package's file and removes those that nobody needs any more.

    `load` and `remove` block, `load` for minutes: they run in a thread of their own. `open_image`
    yields a docker archive whose one image carries the package's own reference.
    """

    def __init__(
        self,
        runtime: Callable[[], Runtime],
        *,
        loaded: LoadedImages,
        open_image: Callable[[InstalledPackage], Iterator[bytes]],
    ) -> None:
        self._runtime = runtime
        self._loaded = loaded
        self._open_image = open_image

    def load(self, package: InstalledPackage) -> None:
        """Load the image of a package; return at once where the runtime has it.

        Raises:
            TransientError: runtime or disk do not work now.
            NoRoomError: the disk is full.
            PermanentError: the runtime refuses the image, or the package holds none.
        """
        if package.image is None or self._runtime().has_image(package.image):
            return
        self._loaded.add(package.image)
        logger.info(
            "event=image_load_begins package=%s image=%s", package.package_id, package.image
        )
        archive = self._open_image(package)
        try:
            self._runtime().load_image(archive, reference=package.image)
        except OSError as error:
            raise TransientError(f"the package's file cannot be read: {error}") from error
        finally:
            close = getattr(archive, "close", None)
            if close is not None:
                close()
        logger.info("event=image_loaded package=%s image=%s", package.package_id, package.image)

    def remove(self, reference: str) -> None:
        """Take an image out of the runtime and forget it.

        Raises:
            TransientError: runtime or disk do not work now.
            PermanentError: the runtime refuses.
        """
        self._runtime().remove_image(reference)
        self._loaded.discard(reference)
        logger.info("event=image_removed image=%s", reference)

    def loaded(self) -> frozenset[str]:
        """Return the references of images that the runtime may have from us.

        Raises:
            TransientError: the disk does not work now.
        """
        return self._loaded.all()
