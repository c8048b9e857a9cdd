"""Asks the tool: one run for each pass, and at first which of its forms tells most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent.errors import NotPresent, ReadingUnavailable
from collectors.accelerators.kunlun import explain, output
from collectors.accelerators.kunlun.explain import Explanation
from collectors.accelerators.kunlun.facts import Chip, Missing, count_known
from collectors.accelerators.vendor_tool import Tool

PLAIN: tuple[str, ...] = ()
ROWS = ("-m",)
LONG = ("-q",)
FORMS = (PLAIN, ROWS, LONG)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolPass:
    """Is one pass over a tool: its chips, or why there are none.

    `is_foreign` says that the program is another vendor's, `is_final` that asking in another way
    would give no more.
    """

    program: str
    chips: tuple[Chip, ...] = ()
    failure: Explanation | None = None
    is_foreign: bool = False
    is_final: bool = False


class ToolReader:
    """Reads the chips through one of the tool's spellings; remembers which form is best.

    `forms` are the commands that may be run, in their order of preference.
    """

    def __init__(self, tools: Sequence[Tool], *, forms: Sequence[tuple[str, ...]] = FORMS) -> None:
        self._tools = tools
        self._forms = forms
        self._best: tuple[Tool, tuple[str, ...]] | None = None
        self._identities: dict[str, Chip] = {}
        self._asked_for: frozenset[str] = frozenset()

    def is_found(self) -> bool:
        """Whether a program of one of the names is on this machine."""
        return bool(self._found())

    def read(self) -> ToolPass:
        """Return what the tool tells now."""
        if self._best is not None:
            done = self._run(*self._best)
            if done.chips or done.is_final:
                return self._with_identity(self._best[0], done)
            self._best = None
        failures = []
        for tool in self._found():
            done = self._choose(tool)
            if done.chips:
                return self._with_identity(tool, done)
            failures.append(done)
            if done.is_final:
                break
        if not failures:
            failure = explain.not_found("neither xpu-smi nor xpu_smi is")
            return ToolPass(program="xpu-smi", failure=failure)
        return next((each for each in failures if not each.is_foreign), failures[0])

    def _found(self) -> list[Tool]:
        found = []
        for tool in self._tools:
            try:
                tool.find()
            except NotPresent:
                continue
            found.append(tool)
        return found

    def _choose(self, tool: Tool) -> ToolPass:
        failures = []
        for words in self._forms:
            done = self._run(tool, words)
            if done.chips:
                best, form = self._better(tool, done, words=words)
                self._best = (tool, form)
                return best
            failures.append(done)
            if done.is_final or done.is_foreign:
                break
        return failures[-1] if failures[-1].is_final else failures[0]

    def _better(
        self, tool: Tool, done: ToolPass, *, words: tuple[str, ...]
    ) -> tuple[ToolPass, tuple[str, ...]]:
        """Return the table, or the rows where they tell more: some tables have few columns."""
        has_sensors = any(
            not isinstance(value, Missing)
            for chip in done.chips
            for value in (chip.power_watts, chip.temperature_celsius)
        )
        if words != PLAIN or has_sensors or ROWS not in self._forms:
            return done, words
        rows = self._run(tool, ROWS)
        if sum(map(count_known, rows.chips)) > sum(map(count_known, done.chips)):
            return rows, ROWS
        return done, words

    def _run(self, tool: Tool, words: tuple[str, ...]) -> ToolPass:
        program = tool.program
        try:
            answer = tool.run(*words)
        except ReadingUnavailable as error:
            failure = Explanation(error.reason, error.hint)
            return ToolPass(program=program, failure=failure, is_final=True)
        chips = output.parse(answer.text)
        if chips:
            return ToolPass(program=program, chips=tuple(chips))
        if output.is_of_intel(answer.text):
            return ToolPass(program=program, failure=explain.intel(program), is_foreign=True)
        known = explain.tool_text(answer.text)
        shown = " ".join((program, *words))
        return ToolPass(
            program=program,
            failure=known
            or explain.no_device(answer.text, shown=shown, exit_status=answer.exit_status),
            is_final=known is not None,
        )

    def _with_identity(self, tool: Tool, done: ToolPass) -> ToolPass:
        """Return the pass with UUIDs and serial numbers, which XRE 5's table does not have.

        They do not change: the long form is run once for each set of cards. Where it fails, the
        cards keep the names that they got without it until the set changes.
        """
        bare = frozenset(
            chip.pci_address
            for chip in done.chips
            if isinstance(chip.serial, Missing) and not isinstance(chip.pci_address, Missing)
        )
        if not bare or LONG not in self._forms:
            return done
        if not bare <= self._asked_for:
            self._asked_for = bare
            self._identities = {
                chip.pci_address: chip
                for chip in self._run(tool, LONG).chips
                if not isinstance(chip.pci_address, Missing)
            }
        return replace(done, chips=tuple(self._identified(chip) for chip in done.chips))

    def _identified(self, chip: Chip) -> Chip:
        address = chip.pci_address
        known = None if isinstance(address, Missing) else self._identities.get(address)
        if known is None:
            return chip
        return replace(chip, uuid=known.uuid, serial=known.serial, node_number=known.node_number)
