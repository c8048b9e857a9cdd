"""Measures what one sample of a vendor's cards costs: `make bench-accelerators`.

The library path talks to the stand-in library of the tests, the tool path to a program that prints
a table of the tests, so the figures are the agent's own share; the vendor's own work comes on top.
Each case runs in a process of its own, as in service.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "collectors" / "accelerators"
PASSES = 200
TOOL_PASSES = 30

# Runs in the measured process: one vendor, one source, many passes.
PROGRAM = """\
import importlib, json, os, resource, sys
module, plugin_name, config, passes = json.loads(sys.argv[1])
module = importlib.import_module(module)
plugin_type = getattr(module, plugin_name)
plugin = plugin_type(plugin_type.config_type(**config))
plugin.probe()
def once():
    cards = plugin.list_accelerators()
    plugin.read()
    return cards
cards = once()
def used(who):
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime
own, children = used(resource.RUSAGE_SELF), used(resource.RUSAGE_CHILDREN)
for _ in range(passes):
    once()
own = used(resource.RUSAGE_SELF) - own
children = used(resource.RUSAGE_CHILDREN) - children
memory = open("/proc/self/smaps_rollup").read().splitlines()
pss = next(int(line.split()[1]) for line in memory if line.startswith("Pss:"))
print(json.dumps([len(cards), cards[0].source, own / passes, children / passes, pss / 1024]))
"""


@dataclass(frozen=True, kw_only=True)
class Vendor:
    """Says how one vendor's plugin is fed; None where there is no such source."""

    name: str
    plugin: str
    stub: str
    stub_library: str
    variable: str
    scenario: str
    program: str | None
    table: str | None
    header_lines: int = 6
    row: str = ""


VENDORS = (
    Vendor(
        name="ascend",
        plugin="AscendPlugin",
        stub="dcmi_stub",
        stub_library="libdcmi.so",
        variable="DCMI_STUB_SCENARIO",
        scenario="eight-910b",
        program="npu-smi",
        table="910a",
        row=(
            "| {0}     910A           | OK            | 70.0        40                15   / 15"
            "            |\n| 0                    | 0000:6{0}:00.0  | 0           1900 / 15077"
            "      0    / 32768         |\n"
            "+======================+===============+===================================="
            "================+\n"
        ),
    ),
    Vendor(
        name="cambricon",
        plugin="CambriconPlugin",
        stub="cndev_stub",
        stub_library="libcndev.so",
        variable="CNDEV_STUB_SCENARIO",
        scenario="eight-modules",
        program="cnmon",
        table="release-6-modules",
        row=(
            "| {0}     /   MLU590-M9    v1.4.2 |         0000:{0}F:00.0 |"
            " 7%                  0 |\n"
            "|  N/A  39C         101 W/ 550 W |  1000 MiB/ 81920 MiB | FULL          Default |\n"
            "+-------------------------------+----------------------+-----------------------+\n"
        ),
    ),
    Vendor(
        name="kunlun",
        plugin="KunlunPlugin",
        stub="xpuml_stub",
        stub_library="libxpuml.so",
        variable="XPUML_STUB_SCENARIO",
        scenario="eight-cards",
        program="xpu-smi",
        table="devices-k200-x4",
        row=(
            "|     {0} | 0000:{0}a:00.0 |  K200 | 030022010700045{0} | /dev/xpu{0} |     N |"
            "    37 % | 8 / 16 MB | 576 / 8064 MB |       61 |   58 |       900 |"
            "   0001.0009.0031 |       ab1207 |\n"
        ),
    ),
    Vendor(
        name="nvidia",
        plugin="NvidiaPlugin",
        stub="nvml_stub",
        stub_library="libnvidia-ml.so.1",
        variable="NVML_STUB_SCENARIO",
        scenario="two-cards",
        program=None,
        table=None,
    ),
)


def main() -> int:
    print("| vendor | source | cards | agent's CPU ms | tool's CPU ms | PSS MiB |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        for vendor in VENDORS:
            library_row(vendor, Path(name))
            if vendor.program is not None:
                tool_row(vendor, Path(name))
    return 0


def library_row(vendor: Vendor, folder: Path) -> None:
    stub = FOLDER / vendor.name / vendor.stub
    library = folder / vendor.stub_library
    compiler = ["cc", "-shared", "-fPIC", "-O1", f"-Wl,-soname,{vendor.stub_library}"]
    subprocess.run([*compiler, "-o", library, stub / f"{vendor.stub}.c"], check=True)
    scenario = stub / "scenarios" / f"{vendor.scenario}.txt"
    if vendor.name == "nvidia":
        scenario = eight_nvidia_cards(folder)
    measure(
        vendor,
        {"library": str(library), "source": "library"},
        environment={vendor.variable: str(scenario)},
        passes=PASSES,
    )


def tool_row(vendor: Vendor, folder: Path) -> None:
    layout = (FOLDER / vendor.name / "tables" / f"{vendor.table}.txt").read_text()
    header = layout.splitlines(keepends=True)[: vendor.header_lines]
    table = folder / f"{vendor.name}.txt"
    table.write_text("".join([*header, *(vendor.row.format(number) for number in range(8))]))
    program = folder / str(vendor.program)
    program.write_text(f"#!/bin/sh\nexec cat '{table}'\n")
    program.chmod(0o755)
    measure(
        vendor,
        {"tool": str(program), "source": "tool"},
        environment={"PATH": f"{folder}:/usr/bin:/bin"},
        passes=TOOL_PASSES,
    )


def eight_nvidia_cards(folder: Path) -> Path:
    card = (
        "[card]\nuuid = GPU-0000000{0}-1111-4111-8111-111111111111\nname = NVIDIA A30\n"
        "pci = 00000000:{0}B:00.0\nmemory_total = 25769803776\nmemory_reserved = 1\n"
        "memory_used = 1073741824\nutilization = 1{0}\ntemperature = 4{0}\npower = 3000{0}\n"
        "energy = 123456\necc_uncorrected = 0\n"
    )
    path = folder / "eight.txt"
    path.write_text("driver = 590.48.01\n" + "".join(card.format(n) for n in range(1, 9)))
    return path


def measure(
    vendor: Vendor, config: dict[str, str], *, environment: dict[str, str], passes: int
) -> None:
    task = [f"collectors.accelerators.{vendor.name}.plugin", vendor.plugin, config, passes]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(task)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"{vendor.name}: {done.stderr}")
    cards, source, own, children, pss = json.loads(done.stdout)
    tool = f"{children * 1000:.2f}" if "tool" in config else "–"
    print(f"| {vendor.name} | {source} | {cards} | {own * 1000:.2f} | {tool} | {pss:.1f} |")


if __name__ == "__main__":
    sys.exit(main())
