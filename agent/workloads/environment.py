"""The environment of a service: what a caller may set, and what the container gets."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from agent.errors import RequestError
from agent.model.workloads import EnvironmentVariable, Manifest

AUTH_SERVER_ADDRESS = "AUTH_SERVER_ADDR"
MAXIMUM_NAME_CHARACTERS = 128
MAXIMUM_VALUE_CHARACTERS = 4096
# T/BAX 0006.5, table F.7. Addresses with tokens are longer, and cutting one breaks the service.
STANDARD_VALUE_CHARACTERS = 128

_NVIDIA = "NVIDIA_VISIBLE_DEVICES"
# Container runtimes of the vendors hand over whatever these name, to whoever asks.
DECIDED_BY_NODE = frozenset(
    {
        _NVIDIA,
        "NVIDIA_MIG_CONFIG_DEVICES",
        "NVIDIA_MIG_MONITOR_DEVICES",
        "AMD_VISIBLE_DEVICES",
        "ASCEND_VISIBLE_DEVICES",
        "ASCEND_RUNTIME_OPTIONS",
        "CAMBRICON_VISIBLE_DEVICES",
        "VIRTUAL_DEVICES",
        "CXPU_VISIBLE_DEVICES",
        "XPU_VISIBLE_DEVICES",
        "IX_VISIBLE_DEVICES",
        "METAX_VISIBLE_DEVICES",
        "MTHREADS_VISIBLE_DEVICES",
    }
)
_LONGEST_PATH = 4095


def check(env: Sequence[EnvironmentVariable], *, manifest: Manifest) -> None:
    """Return if a caller may set these variables for a service of this package.

    Raises:
        RequestError: it names every variable that is at fault.
    """
    declared = {each.name for each in manifest.env}
    names = [each.name for each in env]
    problems = [
        _problem("twice", (name for name, count in Counter(names).items() if count > 1)),
        _problem(
            "not declared by the package",
            (name for name in names if name not in declared),
            advice=f"it declares: {', '.join(sorted(declared)) or 'none'}",
        ),
        _problem(
            "decided by this node, which hands out the accelerators",
            (name for name in names if name in DECIDED_BY_NODE),
        ),
        _problem(
            f"a name of more than {MAXIMUM_NAME_CHARACTERS} characters",
            (name for name in names if len(name) > MAXIMUM_NAME_CHARACTERS),
        ),
        _problem(
            f"a value of more than {MAXIMUM_VALUE_CHARACTERS} characters",
            (each.name for each in env if len(each.value) > MAXIMUM_VALUE_CHARACTERS),
        ),
        _problem(
            "a value that is no text", (each.name for each in env if not _is_text(each.value))
        ),
    ]
    said = [problem for problem in problems if problem]
    if said:
        raise RequestError(f"Env: {'; '.join(said)}")


def merge(
    env: Sequence[EnvironmentVariable],
    *,
    manifest: Manifest,
    granted: Mapping[str, str],
    licence_path: str | None,
) -> dict[str, str]:
    """Return the environment of a container, the strongest word last.

    The package's defaults yield to the caller's values, these to the place of the licence, and all
    to what the accelerators' vendor says; a vendor's variable that was not granted is not set.
    """
    merged = {each.name: each.value for each in (*manifest.env, *env)}
    merged = {name: value for name, value in merged.items() if name not in DECIDED_BY_NODE}
    if licence_path is not None:
        merged[AUTH_SERVER_ADDRESS] = licence_path
    # NVIDIA's images ask for every card themselves, and get them where its runtime is docker's
    # default: `void` says no.
    return {**merged, _NVIDIA: "void", **granted}


def licence_path(manifest: Manifest) -> str:
    """Return where an offline licence is mounted in a container of this package.

    Raises:
        RequestError: the package does not say, or names a place that cannot be.
    """
    declared = next((each.value for each in manifest.env if each.name == AUTH_SERVER_ADDRESS), None)
    path = manifest.licence_path
    if path is None and declared is not None and declared.startswith("/"):
        path = declared
    if path is None:
        raise RequestError(
            "LicenseFile: the package does not say where its licence goes: algo.yaml has neither "
            f"licence_path nor an absolute path as the value of {AUTH_SERVER_ADDRESS}"
        )
    if not _is_good_place(path):
        raise RequestError(
            f"LicenseFile: the package wants its licence at {path[:200]!r}, where no file can be"
        )
    return path


def _is_good_place(path: str) -> bool:
    """Tell whether a file may be put there; the kernel's own folders are never covered."""
    return (
        path.startswith("/")
        and path != "/"
        and len(path.encode(errors="replace")) <= _LONGEST_PATH
        and path == posixpath.normpath(path)
        and not path.startswith("//")
        and path.isprintable()
        and ":" not in path
        and path.split("/")[1] not in {"proc", "sys", "dev"}
    )


def _is_text(value: str) -> bool:
    """Tell whether a process can be given this: UTF-8 without the byte that ends a text."""
    try:
        return b"\0" not in value.encode()
    except UnicodeEncodeError:
        return False


def _problem(words: str, names: Iterable[str], *, advice: str | None = None) -> str:
    found = ", ".join(dict.fromkeys(_shown(name) for name in names))
    if not found:
        return ""
    return f"{found}: {words}" + (f" ({advice})" if advice else "")


def _shown(name: str) -> str:
    """Return a name for an error: a caller's text, so cut and made harmless."""
    short = name if len(name) <= 64 else f"{name[:64]}…"
    return short if short.isprintable() and short else repr(short)
