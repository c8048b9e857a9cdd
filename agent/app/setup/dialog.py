"""Asks on a terminal, in English and Chinese, until each answer is good."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO, TypeVar

from agent.app.setup.answers import Question
from agent.errors import BadInput

_Answer = TypeVar("_Answer")
_MOST_LINES = 2000
_YES = frozenset({"y", "yes", "是"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialog:
    """Speaks with a person; `read_secret` reads a line without showing it."""

    input: TextIO
    output: TextIO
    read_secret: Callable[[str], str] = getpass.getpass

    def say(self, text: str) -> None:
        """Print a line."""
        print(text, file=self.output, flush=True)

    def ask(self, question: Question, *, default: str | None) -> str:
        """Return an accepted answer; an empty line takes the default.

        Raises:
            BadInput: the input ended.
        """
        choices = f" ({', '.join(question.choices)})" if len(question.choices) > 1 else ""
        prompt = f"{question.english} {question.chinese}{choices}"
        return self.ask_for(prompt, question.accept, default=default or "", shown=default)

    def ask_for(
        self,
        prompt: str,
        accept: Callable[[str], _Answer],
        *,
        default: _Answer,
        shown: str | None,
        is_optional: bool = False,
    ) -> _Answer:
        """Return what `accept` makes of a line; an empty line takes the default, if there is one.

        `shown` stands in brackets behind the prompt. A text in PEM is read to its end.

        Raises:
            BadInput: the input ended.
        """
        marked = f"{prompt} [{shown}]: " if shown is not None else f"{prompt}: "
        while True:
            self._write(marked)
            line = self._line().strip()
            if not line and (shown is not None or is_optional):
                return default
            if line.startswith("-----BEGIN"):
                line = self._rest_of_pem(line)
            try:
                return accept(line)
            except BadInput as error:
                self.say(f"  {error}")

    def ask_secret(self, prompt: str, accept: Callable[[str], _Answer]) -> _Answer | None:
        """Return an accepted secret that was typed twice; None for an empty line.

        Raises:
            BadInput: the input ended.
        """
        while True:
            first = self._secret(f"{prompt}: ")
            if not first:
                return None
            try:
                answer = accept(first)
            except BadInput as error:
                self.say(f"  {error}")
                continue
            if self._secret("Once more 再次输入: ") == first:
                return answer
            self.say("  the two differ 两次输入不一致")

    def agrees(self, prompt: str, *, default: bool = False) -> bool:
        """Return whether the answer is yes.

        Raises:
            BadInput: the input ended.
        """
        self._write(f"{prompt} [{'Y/n' if default else 'y/N'}]: ")
        line = self._line().strip().lower()
        return line in _YES if line else default

    def _secret(self, prompt: str) -> str:
        try:
            return self.read_secret(prompt)
        except EOFError as error:
            raise _ended() from error

    def _rest_of_pem(self, line: str) -> str:
        lines = [line]
        while not lines[-1].strip().startswith("-----END") and len(lines) < _MOST_LINES:
            lines.append(self._line().rstrip("\r\n"))
        return "\n".join(lines) + "\n"

    def _write(self, text: str) -> None:
        self.output.write(text)
        self.output.flush()

    def _line(self) -> str:
        line = self.input.readline()
        if not line:
            raise _ended()
        return line


def _ended() -> BadInput:
    return BadInput("the input ended; nothing was written 输入结束，未写入任何内容")
