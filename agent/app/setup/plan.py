"""Makes of answers what is to be written: the configuration's text, and the files beside it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from agent.app.setup import edit
from agent.app.setup.answers import PASSWORD_FILE, USERNAME, Answers
from agent.config import yaml_source
from agent.config.findings import Findings
from agent.config.nodes import Section, Text
from agent.errors import BadInput

FRESH = """\
# Configuration of computility-agent (算力接入代理配置).
#
# Check the file (检查): computility-agent check-config
# Every setting and its default (全部设置): computility-agent print-config, docs/configuration.md.
# No secret stands in this file: a *_file names a file (密码不写在本文件中). A relative name is a
# file beside this one. Files in conf.d/*.yaml are read as well (conf.d 中的文件同样生效).

# Who this node is (本节点).
node:
  # Computility code, 20 digits (算力编码).
  code: ""
  # EDGE_COMPUTE_DEVICE FRONT_END_DEVICE AI_CAMERA AI_BOX AI_CLOUD CAP CAD (算力类型)
  type: AI_BOX
  # What the agent keeps, and its local socket (数据目录).
  #state_dir: /var/lib/computility-agent

# The API on which platforms read this node (设备接口).
device_api:
  #listen: 0.0.0.0:8123
  # User and password that are told to the platforms (接口用户名、密码).
  #username: admin
  password_file: device-api.password

# The platforms to register with (算力服务管理平台).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFile:
    """Is a file beside the configuration; a secret one is no other's to read."""

    text: str = field(repr=False)
    is_secret: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Is what is to be written.

    `files` are by their name beside the configuration. `replaced` tells in words each thing that
    stands there already and would be changed; empty where nothing of an operator's is lost.
    """

    config: Path
    text: str
    files: Mapping[str, NewFile]
    replaced: tuple[str, ...] = ()


def read_text(config: Path) -> str | None:
    """Return the configuration that is there; None where there is none.

    Raises:
        BadInput: it cannot be read as UTF-8.
    """
    try:
        return config.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise BadInput(f"{config} cannot be read: {reason}") from error


def make(answers: Answers, *, config: Path, text: str | None) -> Plan:
    """Return the plan for a configuration; `text` is what stands in it now, None for none.

    Raises:
        PermanentError: the text is written in a way that cannot be edited.
    """
    base = FRESH if text is None else text
    is_in_use = text is not None and code_of(text) is not None
    edited = edit.with_values(base, "node", _node(answers))
    replaced = list(edited.replaced)
    edited = edit.with_values(
        edited.text,
        "device_api",
        _device_api(
            answers, has_default_username=not edit.has(edited.text, "device_api", "username")
        ),
    )
    replaced += edited.replaced
    edited = edit.with_item(edited.text, "acsmp", answers.platform, _platform(answers))
    replaced += edited.replaced
    files = _files(answers)
    folder = config.absolute().parent
    if not is_in_use:
        replaced = []
    replaced = [each for each in replaced if not _names_the_same(each, folder=folder)]
    replaced += [
        f"the file {folder / name}" for name, file in files.items() if _differs(folder / name, file)
    ]
    return Plan(config=config, text=edited.text, files=files, replaced=tuple(replaced))


def code_of(text: str) -> str | None:
    """Return the computility code in a configuration; None where it is still to be filled in."""
    root = yaml_source.parse(text.encode(), findings=Findings("configuration"))
    node = next((each.value for each in root.entries if each.key == "node"), None) if root else None
    if not isinstance(node, Section):
        return None
    for entry in node.entries:
        if entry.key == "code" and isinstance(entry.value, Text):
            return entry.value.text or None
    return None


def _node(answers: Answers) -> dict[str, str]:
    values = {"code": answers.code, "type": answers.node_type}
    return values if answers.state_dir is None else {**values, "state_dir": answers.state_dir}


def _device_api(answers: Answers, *, has_default_username: bool) -> dict[str, str]:
    values = {}
    if answers.username != USERNAME.default or not has_default_username:
        values["username"] = answers.username
    if answers.password is not None:
        values["password_file"] = PASSWORD_FILE
    return values if answers.listen is None else {**values, "listen": answers.listen}


def _platform(answers: Answers) -> dict[str, str]:
    values = {"url": answers.url}
    if answers.sm2_key is not None:
        values["sm2_public_key_file"] = answers.key_file
    return values if answers.ca is None else {**values, "ca_file": answers.ca_file}


def _files(answers: Answers) -> dict[str, NewFile]:
    files = {}
    if answers.password is not None:
        files[PASSWORD_FILE] = NewFile(text=answers.password.reveal() + "\n", is_secret=True)
    if answers.sm2_key is not None:
        files[answers.key_file] = NewFile(text=answers.sm2_key.to_pem(), is_secret=False)
    if answers.ca is not None:
        files[answers.ca_file] = NewFile(text=answers.ca, is_secret=False)
    return files


def _names_the_same(replaced: str, *, folder: Path) -> bool:
    """Tell whether a changed value named the same file as it does now, by another path."""
    key, _, old = replaced.partition(": ")
    return key.endswith("_file") and os.path.dirname(old) == str(folder)  # noqa: PTH120 - "" too


def _differs(path: Path, file: NewFile) -> bool:
    try:
        return path.read_bytes() != file.text.encode()
    except FileNotFoundError:
        return False
    except OSError:
        return True
