"""What is wrong with a package."""

from __future__ import annotations

from collections.abc import Sequence

from agent.errors import PermanentError

_MOST_PROBLEMS = 20


class PackageRefused(PermanentError):  # noqa: N818 - the agent's decision, not a fault of it
    """Says that a package is not taken: whoever made it has to change it first.

    `problems` holds everything that is known to be wrong, at least one; `reason` is the same in
    one line, without those after the twentieth.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__(_in_one_line(problems))
        self.problems = problems


def _in_one_line(problems: Sequence[str]) -> str:
    shown = list(problems[:_MOST_PROBLEMS])
    if len(problems) > len(shown):
        shown.append(f"and {len(problems) - len(shown)} more")
    return "; ".join(shown)
