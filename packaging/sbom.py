"""Writes the list of everything that the packages bring, as CycloneDX 1.6.

`stage` calls it: sbom.py HOME ARCH, where HOME becomes /opt/computility-agent. Python libraries
tell of themselves; the interpreter and the C libraries stand in runtime/versions.lock. The same
files give the same list.
"""
# ruff: noqa: INP001

from __future__ import annotations

import decimal
import importlib.metadata
import json
import os
import re
import sys
import uuid
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import quote

LOCK = Path(__file__).resolve().parent / "runtime/versions.lock"
PRODUCT = "computility-agent"

# Identifiers of SPDX that libraries give as they are, and what others mean by theirs.
SPDX = {
    **{name: name for name in ("Apache-2.0", "BSD-3-Clause", "MIT", "MPL-2.0")},
    "MIT License": "MIT",
    "ZPL 2.1": "ZPL-2.1",
}


def main(home: Path, architecture: str) -> None:
    """Write `sbom.cdx.json` into the folder."""
    libraries = sorted(
        importlib.metadata.distributions(path=[str(home / "lib")]),
        key=lambda each: _normal(each.metadata["Name"]),
    )
    product = next(each for each in libraries if _normal(each.metadata["Name"]) == PRODUCT)
    components = [
        *parts_of_the_runtime(LOCK.read_text(encoding="utf-8")),
        decimal_library(),
        *(library(each) for each in libraries if each is not product),
    ]
    root = library(product) | {"type": "application"}
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(
                int(os.environ["SOURCE_DATE_EPOCH"]), timezone.utc
            ).isoformat(),
            "component": root,
            "properties": [{"name": f"{PRODUCT}:architecture", "value": architecture}],
        },
        "components": components,
        "dependencies": [
            {"ref": root["bom-ref"], "dependsOn": sorted(each["bom-ref"] for each in components)}
        ],
    }
    name = json.dumps(document, sort_keys=True)
    document["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, name)}"
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False)
    (home / "sbom.cdx.json").write_text(text + "\n", encoding="utf-8")


def parts_of_the_runtime(lock: str) -> Iterator[dict[str, object]]:
    """Yield the interpreter and the C libraries, with the patches that were applied."""
    lines = [line.split() for line in lock.splitlines() if line and not line.startswith("#")]
    for word, *rest in lines:
        if word != "source":
            continue
        name, version, upstream, licence, product = rest
        url = f"pkg:deb/debian/{name}@{quote(version, safe='')}?arch=source"
        part: dict[str, object] = {
            "type": "library",
            "bom-ref": url,
            "name": "cpython" if name.startswith("python") else name,
            "version": upstream,
            "purl": url,
            "cpe": f"cpe:2.3:a:{product}:{upstream}:*:*:*:*:*:*:*",
            "licenses": [{"license": {"id": licence}}],
            "hashes": [
                {"alg": "SHA-256", "content": file[1]}
                for kind, *file in lines
                if kind == "file" and file[0] == name and ".orig.tar" in file[2]
            ],
        }
        patches = [each[1] for kind, *each in lines if kind == "patch" and each[0] == name]
        if patches:
            part["pedigree"] = {"notes": "patched by Debian: " + ", ".join(patches)}
        yield part


def decimal_library() -> dict[str, object]:
    """Return the one C library that comes inside CPython's sources and is built into a module.

    The interpreter that runs this was built from them, too.
    """
    url = f"pkg:generic/mpdecimal@{decimal.__libmpdec_version__}"
    return {
        "type": "library",
        "bom-ref": url,
        "name": "mpdecimal",
        "version": decimal.__libmpdec_version__,
        "purl": url,
        "licenses": [{"license": {"id": "BSD-2-Clause"}}],
    }


def library(distribution: importlib.metadata.Distribution) -> dict[str, object]:
    """Return the component of an installed Python library."""
    about = distribution.metadata
    name, version = _normal(about["Name"]), about["Version"]
    url = f"pkg:pypi/{name}@{quote(version, safe='')}"
    component: dict[str, object] = {
        "type": "library",
        "bom-ref": url,
        "name": name,
        "version": version,
        "purl": url,
    }
    component["licenses"] = [licence(about)]
    return component


def licence(about: importlib.metadata.PackageMetadata) -> dict[str, object]:
    """Return a library's licence: as SPDX knows it, or else in the library's own word."""
    if expression := about.get("License-Expression"):
        return {"expression": expression}
    classifiers = about.get_all("Classifier") or []
    said = [about.get("License") or "UNKNOWN"]
    said += [each.rpartition(" :: ")[2] for each in classifiers if each.startswith("License ::")]
    said = [each for each in said if each != "UNKNOWN"]
    for each in said:
        if each in SPDX:
            return {"license": {"id": SPDX[each]}}
    if not said:
        message = f"{about['Name']} does not tell its licence"
        raise SystemExit(message)
    return {"license": {"name": said[0]}}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
