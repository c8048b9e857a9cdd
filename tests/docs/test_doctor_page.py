"""The page of the doctor lists each check and each file of the bundle, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from agent.app.doctor import bundle, examination
from agent.config.load import load_text
from agent.model.clock import SystemClock

PAGE = (Path(__file__).parents[2] / "docs/doctor.md").read_text(encoding="utf-8")
EVERYTHING = """\
node: {code: "11010800005020000001", type: AI_BOX}
device_api: {password: "${SECRET}"}
acsmp:
  - {name: city, url: "https://acsmp.example", sm2_public_key_file: KEY}
centre:
  id: 7
  users: [{username: city, password: "${SECRET}"}]
meters:
  - {name: incomer, kind: modbus, role: facility_total, host: 192.0.2.20}
"""


def names_of(tmp_path):
    """Return the names of the checks of a machine that has everything."""
    (tmp_path / "key").write_text("x")
    text = EVERYTHING.replace("KEY", str(tmp_path / "key"))
    path = tmp_path / "config.yaml"
    path.write_text(text)
    loaded = load_text(text.encode(), path=path, environment={"SECRET": "x" * 12})
    patient = examination.Patient(
        config=path, loaded=loaded, status=None, silence="", unit={}, probed=None
    )
    return {
        check.name for chain in examination.chains(patient, time=SystemClock()) for check in chain
    }


def test_each_check_stands_on_the_page_with_its_advice(tmp_path):
    table = PAGE.partition("| Check |")[2].partition("## Bundle")[0]
    listed = re.findall(r"^\| `([^`]+)` \| .+ \| .+ \([^)]+\) \|$", table, re.MULTILINE)
    assert set(listed) == names_of(tmp_path)
    assert len(listed) == len(set(listed))


def test_each_file_of_the_bundle_stands_on_the_page():
    listed = set(re.findall(r"`([a-z]+\.(?:json|yaml|txt))`", PAGE.partition("## Bundle")[2]))
    assert listed == set(bundle.CONTENTS)
    assert bundle.README in PAGE
    assert f"the last {bundle.JOURNAL_LINES} lines" in PAGE
