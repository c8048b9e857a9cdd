"""Names of processor architectures: images use Go's, the kernel has its own."""

from __future__ import annotations

import platform

_GO_NAMES = {
    "x86_64": "amd64",
    "x86-64": "amd64",
    "aarch64": "arm64",
    "armv8l": "arm64",
    "armv7l": "arm",
    "armv6l": "arm",
    "i386": "386",
    "i486": "386",
    "i586": "386",
    "i686": "386",
    "loongarch64": "loong64",
}


def architecture_name(name: str) -> str:
    """Return the name that images use for an architecture: `arm64` for `aarch64`."""
    plain = name.strip().lower()
    return _GO_NAMES.get(plain, plain)


def machine_architecture() -> str:
    """Return the name that images use for the architecture of this machine."""
    return architecture_name(platform.machine())
