"""How much an agent takes of what a stranger packed."""

from __future__ import annotations

from dataclasses import dataclass

_GIB = 1024**3
_MIB = 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectionLimits:
    """Bounds a package.

    `image_bytes` bounds the image without its compression. Beyond `free_inflated_bytes`,
    `inflation_ratio` bounds how many bytes come out of gzip for each that goes in. The members are
    those of one archive.
    """

    image_bytes: int = 256 * _GIB
    inflation_ratio: float = 200.0
    free_inflated_bytes: int = 64 * _MIB
    package_members: int = 1000
    image_members: int = 20_000
