"""What a plugin's process says of a grant opens this machine, so it is believed least."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ReadingUnavailable
from agent.model.accelerator import ContainerGrant
from agent.sampling import child_messages, grant_messages

GRANT = ContainerGrant(
    devices=("/dev/davinci0", "/dev/davinci_manager"),
    mounts=(("/usr/local/Ascend/driver", "/usr/local/Ascend/driver"),),
    environment={"ASCEND_VISIBLE_DEVICES": "0"},
    runtime="ascend",
)


def carried(message):
    return child_messages.decode_line(child_messages.encode_line(message))


def test_a_grant_arrives_as_it_was_sent():
    assert grant_messages.decode(carried(grant_messages.encode(GRANT))) == GRANT
    empty = ContainerGrant()
    assert grant_messages.decode(carried(grant_messages.encode(empty))) == empty


@pytest.mark.parametrize("given", [None, 7, object(), ["/dev/x"]])
def test_a_plugin_that_gives_no_grant_has_broken_its_contract(given):
    with pytest.raises(ReadingUnavailable, match="broke its contract"):
        grant_messages.encode(given)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("devices", None),
        ("devices", "/dev/x"),
        ("devices", [7]),
        ("devices", ["dev/x"]),
        ("devices", ["/etc/shadow"]),
        ("devices", ["/dev/../etc/shadow"]),
        ("devices", ["/dev/x:/dev/y"]),
        ("devices", ["/dev/x\n--privileged"]),
        ("devices", ["/dev/x"] * 1025),
        ("mounts", [["/usr"]]),
        ("mounts", [["/usr", "/usr", "rw"]]),
        ("mounts", [["/", "/host"]]),
        ("mounts", [["/usr", "usr"]]),
        ("mounts", [["/usr:/etc", "/usr"]]),
        ("mounts", [["/" + "x" * 5000, "/x"]]),
        ("mounts", {"/usr": "/usr"}),
        ("environment", None),
        ("environment", ["A=1"]),
        ("environment", {"A B": "1"}),
        ("environment", {"A": 1}),
        ("environment", {"A": "1\n2"}),
        ("runtime", 7),
        ("runtime", "--privileged"),
        ("runtime", ""),
    ],
)
def test_what_no_grant_can_hold_is_refused(key, value):
    with pytest.raises(ReadingUnavailable, match=f"in {key}, which cannot be"):
        grant_messages.decode({**grant_messages.encode(GRANT), key: value})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("devices", "mounts", "environment", "runtime"), json_values)
    )
)
def test_whatever_comes_is_a_plain_grant_or_refused(message):
    try:
        grant = grant_messages.decode(message)
    except ReadingUnavailable:
        return
    assert all(device.startswith("/dev/") for device in grant.devices)
    assert all(path.startswith("/") for pair in grant.mounts for path in pair)
