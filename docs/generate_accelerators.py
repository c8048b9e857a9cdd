"""Writes `docs/accelerators.md` from the vendors' pages and from what the tests expect.

python docs/generate_accelerators.py > docs/accelerators.md
python docs/generate_accelerators.py --check
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
PAGE = DOCS / "accelerators.md"
EXPECTED = DOCS.parent / "tests/collectors/accelerators/expected"
HOW_TO = "run `make docs`"

# The blueprint's vendor does not exist.
NOT_A_VENDOR = frozenset({"blueprint"})
FIELDS = (
    "product_name",
    "memory_total_bytes",
    "memory_used_bytes",
    "utilization_ratio",
    "temperature_celsius",
    "power_watts",
    "energy_joules",
    "health",
    "processes",
)
VERSION = re.compile(r"(?:^|[-_])(?:v|V|dtk|rocm|npusmi)?([0-9]+(?:\.[0-9A-Za-z]+)+)")

HEAD = """\
<!-- Made by `make docs` from docs/accelerators/*.md and tests/collectors/accelerators/expected. -->

# Accelerators (加速卡)

本页说明：支持哪些加速卡，每家读取哪些字段、单位如何换算，以及每份现场录制能读出什么。

Every vendor has a plugin of its own, found by itself: `computility-agent plugins` shows which are
active, and why the others are not. A value that the vendor's interface does not give is unknown,
with the reason, and never 0. `computility-agent record` makes a recording of a machine that is not
read well: see [bug-reports.md](bug-reports.md). How a vendor is added stands in
[collectors/accelerators/README.md](../collectors/accelerators/README.md).

## Vendors

A page says for each field where it comes from, in which unit the source gives it and how it is
shown, what stays unknown and why, what the errors mean, and what a container is given.
"""

COVERAGE = """\
## Coverage

One row for each recording from the field, or table of a vendor's manual, that the tests read.
"known" and "unknown" count over its cards: "(1 of 2)" means one card of two. The version is that of
tool or driver, as the recording's name has it.
"""

NO_SOURCE = """\
## No source

Recordings of which the tests expect no card and no figure, and why they are no source. Complaints,
listings of names and single answers are tested too; the vendors' pages tell of them.
"""


def render() -> str:
    """Return the text of docs/accelerators.md."""
    return "\n".join(
        [HEAD, *_vendors(), "", COVERAGE, *_coverage(), "", NO_SOURCE, *_no_source(), ""]
    )


def _vendors() -> Iterator[str]:
    pages = {path.stem: path for path in sorted((DOCS / "accelerators").glob("*.md"))}
    for path in pages.values():
        title = re.search(r"^# (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        sections = re.findall(r"^## (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        links = ", ".join(
            f"[{each.lower()}](accelerators/{path.name}#{_anchor(each)})" for each in sections
        )
        name = title[1] if title else path.stem
        yield f"- [{name}](accelerators/{path.name}){': ' if links else ''}{links}"


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _coverage() -> Iterator[str]:
    yield "| Vendor | Model | Version | Source | Cards | Known | Unknown | Recording |"
    yield "|---|---|---|---|---|---|---|---|"
    folders = [path for path in sorted(EXPECTED.iterdir()) if path.is_dir()]
    for folder in folders:
        if folder.name not in NOT_A_VENDOR:
            for path in sorted(folder.glob("*.json")):
                yield _row(folder.name, path)


def _no_source() -> Iterator[str]:
    yield "| Vendor | Recording | Why |"
    yield "|---|---|---|"
    for path in sorted(EXPECTED.glob("*/no-source/*.json")):
        reason = json.loads(path.read_text(encoding="utf-8"))["no source"]
        yield f"| {path.parts[-3]} | `{path.stem}` | {reason} |"


def _row(vendor: str, path: Path) -> str:
    cards: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    models = dict.fromkeys(
        str(card.get("board_name") or card["product_name"])
        for card in cards
        if card.get("board_name") or card.get("product_name")
    )
    sources = dict.fromkeys(card["source"] for card in cards if card.get("source"))
    versions = VERSION.findall(path.stem)
    known = [_counted(field, cards, is_known=True) for field in FIELDS]
    unknown = [_counted(field, cards, is_known=False) for field in FIELDS]
    cells = (
        vendor,
        ", ".join(models) or "not told",
        versions[-1] if versions else "not told",
        ", ".join(sources) or "-",
        str(len(cards)),
        ", ".join(filter(None, known)) or "-",
        ", ".join(filter(None, unknown)) or "-",
        f"`{path.stem}`",
    )
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _counted(field: str, cards: Sequence[dict[str, Any]], *, is_known: bool) -> str:
    count = sum((field not in card["unknown"]) is is_known for card in cards)
    if count == 0:
        return ""
    return field if count == len(cards) else f"{field} ({count} of {len(cards)})"


def main() -> int:
    """Print the page, or tell whether the one that is there is as it should be."""
    parser = argparse.ArgumentParser(description="Make docs/accelerators.md.")
    parser.add_argument("--check", action="store_true", help="only tell whether it is stale")
    if not parser.parse_args().check:
        sys.stdout.write(render())
        return 0
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == render():
        return 0
    print(f"{PAGE.name} is stale: {HOW_TO}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
