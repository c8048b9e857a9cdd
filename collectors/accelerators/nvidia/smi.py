"""Asks nvidia-smi for all cards in one pass, in the best form that this one knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agent.errors import ReadingUnavailable
from agent.model.accelerator import Accelerator
from collectors.accelerators import tool_passes
from collectors.accelerators.nvidia import explain, smi_convert, smi_output
from collectors.accelerators.nvidia.explain import Failure
from collectors.accelerators.nvidia.smi_convert import SmiUnit
from collectors.accelerators.nvidia.smi_facts import Shown
from collectors.accelerators.vendor_tool import Tool

DEADLINE_SECONDS = 10.0

_XML = ("-q", "-x")
# The names of columns; all of them are older than any driver with MIG.
_COLUMNS = (
    "index",
    "uuid",
    "name",
    "pci.bus_id",
    "memory.total",
    "memory.used",
    "utilization.gpu",
    "temperature.gpu",
    "power.draw",
    "ecc.errors.uncorrected.volatile.total",
    "mig.mode.current",
)
_CSV = (f"--query-gpu={','.join(_COLUMNS)}", "--format=csv")
_LIST = ("-L",)
# What is worth recording.
FORMS = (_XML, _CSV, _LIST)


@dataclass(frozen=True, slots=True, kw_only=True)
class SmiPass:
    """Is one pass over all cards."""

    units: Sequence[SmiUnit]
    driver_version: str | None


class Smi:
    """Runs the tool, and remembers who stood where for the day that a card is lost.

    One process a pass. A second one asks for the names of slices where these have changed, or in
    the older form where the first does not show every card. For one thread.
    """

    def __init__(self, tool: Tool) -> None:
        self._tool = tool
        self._last_seen: dict[str, tuple[Accelerator, ...]] = {}
        self._slices: frozenset[object] = frozenset()
        self._slice_names: smi_convert.SliceNames = {}

    @property
    def program(self) -> str:
        """Return the name of the program."""
        return self._tool.program

    def find(self) -> None:
        """Return if the tool is there; raises NotPresent if not. Runs nothing."""
        self._tool.find()

    def take(self) -> SmiPass:
        """Return all cards and slices.

        Raises:
            ReadingUnavailable: the tool shows none; says why, in its own words at the last.
        """
        answer = self.ask()
        if isinstance(answer, Failure):
            explanation = explain.explain(answer)
            raise ReadingUnavailable(
                f"{explanation.reason} ({self.program})", hint=explanation.hint
            )
        units = smi_convert.units(answer, names=self._names(answer), last_seen=self._last_seen)
        for address in {unit.accelerator.pci_address for unit in units}:
            if address is not None:
                self._last_seen[address] = tuple(
                    unit.accelerator for unit in units if unit.accelerator.pci_address == address
                )
        return SmiPass(units=units, driver_version=answer.driver_version)

    def ask(self) -> Shown | Failure:
        """Return what the tool shows, or why it shows nothing.

        Raises:
            ReadingUnavailable: it did not run, or its answer says nothing of this.
        """
        best: Shown | None = None
        failure: Failure | None = None
        error: ReadingUnavailable | None = None
        for words in (_XML, _CSV):
            try:
                answer = self._tool.run(*words)
            except ReadingUnavailable as raised:
                error = error or raised
                continue
            shown = smi_output.read(answer.text)
            if shown.is_known and shown.count > (0 if best is None else best.count):
                best = shown
            if best is not None and best.count >= (shown.announced or 0):
                return best
            failure = failure or smi_output.failure(answer.text)
            if best is None and smi_output.is_refusal(answer.text):
                break
            error = error or tool_passes.no_cards((self.program, *words), answer)
        if best is not None:
            return best
        if failure is not None:
            return failure
        raise error or ReadingUnavailable(f"{self.program} gave no answer")

    def _names(self, shown: Shown) -> smi_convert.SliceNames:
        """Return the names of the slices; asked for where there are others than before."""
        slices: frozenset[object] = smi_convert.divided_cards(shown)
        if slices and slices != self._slices:
            try:
                self._slice_names = smi_output.slice_names(self._tool.run(*_LIST).text)
                self._slices = slices
            except ReadingUnavailable:
                self._slices, self._slice_names = frozenset(), {}
        return self._slice_names
