"""What `record` takes out of a recording from the field changes no value that is read from it."""

from __future__ import annotations

import dataclasses
from importlib.metadata import entry_points

import pytest

from agent import contracts
from agent.app.redaction import Redactor
from agent.errors import NotPresent, PermanentError, ReadingUnavailable
from collectors.accelerators.recording import Recording
from collectors.accelerators.vendor_tool import ToolAnswer

# The plugin, its tool, the words behind the tool's name, and a recording of what it printed.
RECORDINGS = [
    ("ascend", "npu-smi", ("info",), "ascend/info-300IDuo-x4-2chips-25.3.rc1.txt"),
    ("ascend", "npu-smi", ("info",), "ascend/info-910A-x8-hbm-full-23.0.rc2.3.txt"),
    ("ascend", "npu-smi", ("info",), "ascend/info-910B2C-x2-process-23.0.2.1.txt"),
    ("ascend", "npu-smi", ("info",), "ascend/info-910B4-x1-container-26.0.rc1.txt"),
    ("ascend", "npu-smi", ("info",), "ascend/info-A3-Ascend910-x2-2chips-25.2.0.txt"),
    ("cambricon", "cnmon", (), "cambricon/cnmon-MLU370-X8-x2-v5.10.13.txt"),
    ("enflame", "efsmi", (), "enflame/efsmi-S60-x2-V1.2.0.301.txt"),
    ("enflame", "efsmi", ("-q",), "enflame/efsmi-q-S60-1.2.4.12.txt"),
    ("iluvatar", "ixsmi", (), "others/ixsmi-BI-V150-x2-4.3.8.txt"),
    ("kunlun", "xpu-smi", (), "kunlun/xpu-smi-P800-x8-515.58.txt"),
    ("kunlun", "xpu_smi", (), "kunlun/xpu_smi-K200-x4-idle-4.33.txt"),
    ("kunlun", "xpu_smi", (), "kunlun/xpu_smi-R200-K100-mix-4.0.txt"),
    ("metax", "mx-smi", (), "others/mx-smi-C500-x1-2.3.1.txt"),
    ("mthreads", "mthreads-gmi", (), "others/mthreads-gmi-S5000-x8-5.1.0.txt"),
    ("nvidia", "nvidia-smi", ("-q", "-x"), "nvidia/q-unknown-error-535.154.txt"),
    ("nvidia", "nvidia-smi", ("-q", "-x"), "nvidia/table-550.90.txt"),
    ("nvidia", "nvidia-smi", ("-q", "-x"), "nvidia/xml-A100-SXM4-v12.txt"),
    ("nvidia", "nvidia-smi", ("-q", "-x"), "nvidia/xml-RTX4000SFF-v13.txt"),
]


def replayed(vendor, recording):
    """Return the values of each card, and its identities apart; the error where there is none."""
    (entry_point,) = entry_points(group=contracts.ACCELERATORS, name=vendor)
    plugin_type = entry_point.load()
    try:
        plugin = plugin_type.replay(plugin_type.config_type(), recording.to_files())
        pairs = list(zip(plugin.list_accelerators(), plugin.read(), strict=True))
    except (NotPresent, PermanentError, ReadingUnavailable) as error:
        return type(error), error.reason
    values = [
        (
            # A reason may quote an identity.
            dataclasses.replace(
                card, uuid="", parent_uuid=None, card=None, unknown=dict.fromkeys(card.unknown, "")
            ),
            dataclasses.replace(reading, uuid="", unknown=dict.fromkeys(reading.unknown, "")),
        )
        for card, reading in pairs
    ]
    return values, [card.uuid for card, _ in pairs]


@pytest.mark.parametrize(
    ("vendor", "program", "words", "path"), RECORDINGS, ids=[each[-1] for each in RECORDINGS]
)
def test_a_redacted_recording_shows_the_same_cards(recording, vendor, program, words, path):
    text = recording(path)
    redactor = Redactor(host_names=["box-7"], user_names=["operator"])
    redactor.learn(text)

    def recorded(printed):
        answers = {words: ToolAnswer(text=printed, exit_status=0)}
        return Recording(tools={program: answers})

    values, uuids = replayed(vendor, recorded(text))
    redacted_values, redacted_uuids = replayed(vendor, recorded(redactor.redact(text)))
    assert redacted_values == values
    assert len(set(redacted_uuids)) == len(set(uuids))
    assert isinstance(values, list), uuids
    assert values
