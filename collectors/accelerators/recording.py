"""A recording of a vendor's raw answers: what its tools printed and what its library returned.

On the disk it is a folder: `index.json` lists the commands, each tool answer is a text file as it
was printed, and `library.json` holds the library's answers by call. Tests, bug reports and
`collect --replay` all come through here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.errors import PermanentError
from collectors.accelerators.vendor_tool import RecordedTool, ToolAnswer

VERSION = 1
INDEX = "index.json"
LIBRARY = "library.json"

ToolAnswers = Mapping[tuple[str, ...], ToolAnswer]
# A call with its arguments, as the plugin writes it: "dcmi_get_device_health(0, 1)".
LibraryAnswers = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Holds raw answers: of tools, by program and command, and of a library, by call.

    A library's answer is what the plugin's reading layer needs to go on, as JSON: usually
    {"code": 0, "value": …}.
    """

    tools: Mapping[str, ToolAnswers] = field(default_factory=dict)
    library: LibraryAnswers = field(default_factory=dict)

    def tool(self, program: str) -> RecordedTool:
        """Return a tool that plays back what was recorded of this program."""
        return RecordedTool(program, self.tools.get(program, {}))

    def to_files(self) -> dict[str, str]:
        """Return the recording as texts by file name."""
        files: dict[str, str] = {}
        entries = []
        for program, answers in self.tools.items():
            for words, answer in answers.items():
                name = _file_name((program, *words), taken=files)
                files[name] = answer.text
                entries.append(
                    {
                        "program": program,
                        "words": list(words),
                        "exit_status": answer.exit_status,
                        "file": name,
                    }
                )
        if self.library:
            files[LIBRARY] = json.dumps(dict(self.library), indent=1, ensure_ascii=False)
        files[INDEX] = json.dumps({"version": VERSION, "tools": entries}, indent=1)
        return files

    @classmethod
    def from_files(cls, files: Mapping[str, str]) -> Recording:
        """Read what `to_files` wrote.

        Raises:
            PermanentError: the files are no recording; says which and why.
        """
        try:
            index = json.loads(files[INDEX])
            if index["version"] != VERSION:
                raise PermanentError(
                    f"{INDEX} is of version {index['version']}; this program reads {VERSION}"
                )
            tools: dict[str, dict[tuple[str, ...], ToolAnswer]] = {}
            for entry in index["tools"]:
                words = tuple(str(word) for word in entry["words"])
                tools.setdefault(str(entry["program"]), {})[words] = ToolAnswer(
                    text=files[entry["file"]], exit_status=int(entry["exit_status"])
                )
            library = json.loads(files.get(LIBRARY, "{}"))
            if not isinstance(library, dict):
                raise PermanentError(f"{LIBRARY} is no JSON object")
        except KeyError as error:
            raise PermanentError(f"this is no recording: {error.args[0]} is missing") from error
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise PermanentError(f"this is no recording: {error}") from error
        return cls(tools=tools, library=library)


def _file_name(command: tuple[str, ...], *, taken: Mapping[str, str]) -> str:
    stem = re.sub(r"[^A-Za-z0-9.]+", "-", " ".join(command)).strip("-.")[:80] or "answer"
    name, number = f"{stem}.txt", 1
    while name in taken:
        number += 1
        name = f"{stem}-{number}.txt"
    return name
