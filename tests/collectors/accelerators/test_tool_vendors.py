"""What every plugin that reads a vendor's tool promises, over tables in each vendor's layout."""

from __future__ import annotations

import dataclasses
import importlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.errors import NotPresent, PermanentError, ReadingUnavailable
from collectors.accelerators import vendor_tool
from collectors.accelerators.cards import CardFacts
from collectors.accelerators.quantities import Unknown
from collectors.accelerators.vendor_tool import ToolAnswer

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Is a vendor's table, how it is read, and what the plugin asks to get it."""

    vendor: str
    table: str
    read: str = "table_cards"
    cards: int
    program: str

    @property
    def text(self) -> str:
        return (HERE / self.vendor / "tables" / f"{self.table}.txt").read_text(encoding="utf-8")

    @property
    def reader(self) -> Callable[[str], Sequence[CardFacts]]:
        module = importlib.import_module(f"collectors.accelerators.{self.vendor}.parse")
        return getattr(module, self.read)

    @property
    def plugin_type(self) -> Any:
        module = importlib.import_module(f"collectors.accelerators.{self.vendor}.plugin")
        (plugin_type,) = (
            each
            for name, each in vars(module).items()
            if name.endswith("Plugin") and getattr(each, "name", None) == self.vendor
        )
        return plugin_type


SAMPLES = [
    Sample(vendor="hygon", table="hy-smi-hcu", read="any_cards", cards=3, program="hy-smi"),
    Sample(vendor="hygon", table="rocm-smi-dcu", read="any_cards", cards=2, program="rocm-smi"),
    Sample(vendor="hygon", table="json", read="any_cards", cards=2, program="hy-smi"),
    Sample(vendor="enflame", table="q-1.2", read="any_cards", cards=2, program="efsmi"),
    Sample(vendor="enflame", table="table-1.2", read="any_cards", cards=2, program="efsmi"),
    Sample(vendor="enflame", table="table-1.4", read="any_cards", cards=1, program="efsmi"),
    Sample(vendor="amd", table="json", read="json_cards", cards=2, program="rocm-smi"),
    Sample(vendor="sophgo", table="pcie-two-cards", cards=3, program="bm-smi"),
    Sample(vendor="sophgo", table="soc", cards=1, program="bm-smi"),
    Sample(vendor="axera", table="two-cards", cards=2, program="axcl-smi"),
    Sample(vendor="iluvatar", table="two-chips", cards=2, program="ixsmi"),
    Sample(vendor="metax", table="two-boards", cards=2, program="mx-smi"),
    Sample(vendor="metax", table="two-boards", cards=2, program="ht-smi"),
    Sample(vendor="metax", table="older", cards=1, program="mx-smi"),
    Sample(vendor="mthreads", table="two-cards", cards=2, program="mthreads-gmi"),
]
OF_ANY_FORM = pytest.mark.parametrize(
    "sample", SAMPLES, ids=lambda sample: f"{sample.vendor}-{sample.table}-{sample.program}"
)
PRINTED_TABLES = [sample for sample in SAMPLES if sample.table not in ("json", "q-1.2")]
OF_A_TABLE = pytest.mark.parametrize(
    "sample", PRINTED_TABLES, ids=lambda sample: f"{sample.vendor}-{sample.table}-{sample.program}"
)
FEW = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def assert_nothing_wrong(found: Sequence[CardFacts], whole: Sequence[CardFacts]) -> None:
    """Every value is that of the whole text, or unknown with a reason."""
    right = {card.index: card for card in whole}
    for card in found:
        assert card.index in right, f"a card that is not there: {card}"
        for field in dataclasses.fields(card):
            value = getattr(card, field.name)
            if isinstance(value, Unknown):
                assert value.reason
            elif value is not None:
                assert value == getattr(right[card.index], field.name), field.name


@OF_ANY_FORM
def test_every_prefix_gives_right_values_or_none(sample: Sample) -> None:
    whole = sample.reader(sample.text)
    assert len(whole) == sample.cards
    for length in range(len(sample.text)):
        assert_nothing_wrong(sample.reader(sample.text[:length]), whole)


@OF_ANY_FORM
def test_indents_trailing_blanks_colours_and_carriage_returns_change_nothing(
    sample: Sample,
) -> None:
    lines = sample.text.splitlines()
    changed = "\r\n".join(f"   \x1b[1;32m{line}\x1b[0m \t " for line in lines) + "\r\n"
    assert sample.reader(vendor_tool.decode(changed.encode())) == sample.reader(sample.text)


@OF_A_TABLE
@FEW
@given(data=st.data())
def test_wider_and_narrower_columns_never_give_a_wrong_value(
    sample: Sample, data: st.DataObject
) -> None:
    def resized(_: re.Match[str]) -> str:
        return " " * data.draw(st.integers(min_value=2, max_value=9))

    found = sample.reader(re.sub(r" {2,}", resized, sample.text))
    assert len(found) == sample.cards
    assert_nothing_wrong(found, sample.reader(sample.text))


@OF_A_TABLE
def test_columns_without_a_blank_too_many_never_give_a_wrong_value(sample: Sample) -> None:
    assert_nothing_wrong(
        sample.reader(re.sub(r" {2,}", " ", sample.text)), sample.reader(sample.text)
    )


ODD_LINES = [
    "| something new                          |",
    "|  9   unknown   | 1 | 2  3 |",
    "| N/A | N/A | N/A |",
    "  Fabric   ok    17",
    "| 99 |",
    "WARNING: clock 1200MHz, 55C, 77W, 3MiB / 9MiB",
    "|",
    "0x17 : 4",
]


@OF_A_TABLE
@FEW
@given(data=st.data())
def test_unknown_lines_never_give_a_wrong_value(sample: Sample, data: st.DataObject) -> None:
    lines = sample.text.splitlines(keepends=True)
    for _ in range(data.draw(st.integers(min_value=1, max_value=4))):
        place = data.draw(st.integers(min_value=0, max_value=len(lines)))
        lines.insert(place, data.draw(st.sampled_from(ODD_LINES)) + "\n")
    assert_nothing_wrong(sample.reader("".join(lines)), sample.reader(sample.text))


@OF_A_TABLE
def test_an_unknown_column_moves_no_value(sample: Sample) -> None:
    lines = []
    for number, line in enumerate(sample.text.splitlines()):
        if line.endswith(("-+", "=+", "-|", "=|")):
            lines.append(line + "-----------+")
        elif line.endswith("|"):
            lines.append(f"{line} New{number}   |")
        else:
            lines.append(f"{line}   New{number}" if re.search(r"\w", line) else line)
    found = sample.reader("\n".join(lines) + "\n")
    assert_nothing_wrong(found, sample.reader(sample.text))


@OF_A_TABLE
@FEW
@given(data=st.data())
def test_a_value_that_is_masked_is_unknown_and_costs_no_other_card(
    sample: Sample, data: st.DataObject
) -> None:
    whole = sample.reader(sample.text)
    numbers = list(re.finditer(r"[0-9]+(?:\.[0-9]+)?(?=\s?(?:%|W|C|c|℃|Mi?B))", sample.text))
    hidden = data.draw(st.sampled_from(numbers))
    text = sample.text[: hidden.start()] + "xxx" + sample.text[hidden.end() :]
    found = sample.reader(text)
    assert_nothing_wrong(found, whole)
    assert len(found) >= sample.cards - 1


@OF_A_TABLE
@pytest.mark.parametrize("instead", ["N/A", "ERR!", "Unknown", "--"])
def test_a_sick_card_is_listed_all_the_same(sample: Sample, instead: str) -> None:
    measured = r"[0-9.]+\s?(?:%|W|C|c|℃)(?=[\s|])"
    text = re.sub(measured, lambda found: f"{instead:<{len(found[0])}}", sample.text)
    found = sample.reader(text)
    assert len(found) == sample.cards
    for card in found:
        assert isinstance(card.temperature_celsius, Unknown)
        assert isinstance(card.power_watts, Unknown)
        assert isinstance(card.utilization_ratio, Unknown)


@OF_ANY_FORM
@FEW
@given(data=st.data())
def test_noise_is_read_without_an_error(sample: Sample, data: st.DataObject) -> None:
    lines = sample.text.splitlines(keepends=True)
    kept = data.draw(st.lists(st.sampled_from(lines), max_size=30))
    sample.reader("".join(kept) + data.draw(st.text(max_size=40)))


RECORDINGS = [
    ("hygon", "any_cards", "hygon/hy-smi-BW1000-x2-dtk26.04"),
    ("hygon", "any_cards", "hygon/rocm-smi-DCU-x4-dtk23.10"),
    ("hygon", "any_cards", "hygon/rocm-smi-DCU-x4-rocm4.0"),
    ("hygon", "any_cards", "hygon/rocm-smi-json-x1-24.04.3"),
    ("enflame", "any_cards", "enflame/efsmi-q-S60-1.2.4.12"),
    ("enflame", "any_cards", "enflame/efsmi-S60-x2-V1.2.0.301"),
    ("amd", "json_cards", "others/amd-rocm-smi-json-rx7800-6.2.4"),
    ("sophgo", "table_cards", "sophgo/bm-smi-MARS3-SOC-0.4.9"),
    ("axera", "table_cards", "others/axcl-smi-AX650N-2.18.0"),
    ("iluvatar", "table_cards", "others/ixsmi-BI-V150-x2-4.3.8"),
    ("metax", "table_cards", "others/mx-smi-C500-x1-2.3.1"),
    ("metax", "table_cards", "others/ht-smi-Mars-X201-2.3.1"),
    ("mthreads", "table_cards", "others/mthreads-gmi-S5000-x8-5.1.0"),
]


@pytest.mark.parametrize(("vendor", "read", "path"), RECORDINGS)
def test_every_prefix_of_a_recording_of_the_field_gives_right_values_or_none(
    vendor: str, read: str, path: str, recording: Callable[[str], str]
) -> None:
    text = recording(f"{path}.txt")
    reader = getattr(importlib.import_module(f"collectors.accelerators.{vendor}.parse"), read)
    whole = reader(text)
    assert whole
    for length in range(len(text)):
        assert_nothing_wrong(reader(text[:length]), whole)


# From here on the plugin runs a program, as on a machine.


def install(folder: Path, program: str, text: str, *, status: int = 0) -> Path:
    """Put a tool on this machine that prints a text whatever it is asked, and counts its runs."""
    output = folder / f"{program}.txt"
    output.write_text(text, encoding="utf-8")
    tool = folder / program
    tool.write_text(f"#!/bin/sh\necho run >> '{folder}/runs'\ncat '{output}'\nexit {status}\n")
    tool.chmod(0o755)
    return folder / "runs"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that comes first on PATH."""
    tools = tmp_path / "bin"
    tools.mkdir()
    monkeypatch.setenv("PATH", f"{tools}:/bin:/usr/bin")
    return tools


def build(sample: Sample) -> Any:
    from collectors.accelerators.machine_files import RecordedFiles

    plugin_type = sample.plugin_type
    config = plugin_type.config_type()
    if "files" in plugin_type.__init__.__kwdefaults__:
        return plugin_type(config, files=RecordedFiles({}))
    return plugin_type(config)


@OF_ANY_FORM
def test_a_pass_over_all_cards_is_one_process(sample: Sample, machine: Path) -> None:
    runs = install(machine, sample.program, sample.text)
    plugin = build(sample)
    plugin.probe()
    runs.unlink(missing_ok=True)
    listed = plugin.list_accelerators()
    readings = plugin.read()
    assert runs.read_text().split() == ["run"]
    assert len(listed) == sample.cards
    assert [each.uuid for each in readings] == [each.uuid for each in listed]
    assert len({each.uuid for each in listed}) == sample.cards
    for accelerator in listed:
        assert accelerator.vendor == sample.vendor
        assert accelerator.source == sample.program
    plugin.close()
    plugin.close()


@OF_ANY_FORM
def test_a_recording_gives_the_same_without_the_machine(
    sample: Sample, machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(machine, sample.program, sample.text)
    plugin = build(sample)
    listed, readings = plugin.list_accelerators(), plugin.read()
    files = plugin.record()
    monkeypatch.setenv("PATH", "/nowhere")
    replayed = sample.plugin_type.replay(sample.plugin_type.config_type(), files)
    replayed.probe()
    assert replayed.list_accelerators() == listed
    assert replayed.read() == readings


@OF_ANY_FORM
def test_a_recording_of_something_else_is_refused(sample: Sample) -> None:
    files = {"index.json": json.dumps({"version": 1, "tools": []})}
    with pytest.raises(PermanentError):
        sample.plugin_type.replay(sample.plugin_type.config_type(), files)


@OF_ANY_FORM
def test_a_machine_without_the_tool_has_no_such_card(sample: Sample, machine: Path) -> None:
    with pytest.raises(NotPresent) as caught:
        build(sample).probe()
    assert caught.value.hint


@OF_ANY_FORM
def test_what_the_tool_says_instead_of_cards_is_shown(sample: Sample, machine: Path) -> None:
    text = "Failed to initialize: the driver is not loaded\n"
    install(machine, sample.program, text, status=3)
    plugin = build(sample)
    if sample.program == "rocm-smi":  # whose tool it is cannot be told either
        with pytest.raises(NotPresent):
            plugin.probe()
        return
    plugin.probe()
    with pytest.raises(ReadingUnavailable, match="driver is not loaded") as caught:
        plugin.list_accelerators()
    assert caught.value.hint is not None
    assert "driver" in caught.value.hint


@OF_ANY_FORM
def test_a_card_that_comes_or_goes_is_noticed(sample: Sample, machine: Path) -> None:
    runs = install(machine, sample.program, sample.text)
    plugin = build(sample)
    plugin.list_accelerators()
    install(machine, sample.program, "No device was found\n")
    with pytest.raises(ReadingUnavailable):
        plugin.list_accelerators()
    install(machine, sample.program, sample.text)
    assert len(plugin.list_accelerators()) == sample.cards
    assert runs.exists()


def test_the_agent_finds_each_plugin_by_its_entry_point() -> None:
    import importlib.metadata

    points = importlib.metadata.entry_points(group="computility_agent.accelerators")
    for sample in SAMPLES:
        assert points[sample.vendor].load() is sample.plugin_type


def test_an_answer_with_a_status_is_read_all_the_same() -> None:
    from collectors.accelerators.tool_passes import Form, ToolForms
    from collectors.accelerators.vendor_tool import RecordedTool

    sample = SAMPLES[0]
    tool = RecordedTool("x", {(): ToolAnswer(text=sample.text, exit_status=2)})
    assert len(ToolForms(tool, (Form(words=(), read=sample.reader),)).ask().cards) == 3
