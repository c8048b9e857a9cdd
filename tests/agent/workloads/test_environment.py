"""What a caller may set, and what a container gets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import RequestError
from agent.model.workloads import EnvironmentVariable, Manifest, PackageType
from agent.workloads import environment

NAMES = st.sampled_from(["AUTH_SERVER_ADDR", "LOG_LEVEL", "A", "NVIDIA_VISIBLE_DEVICES", "ID"])
VALUES = st.dictionaries(NAMES, st.text(max_size=5))


def variables(values):
    return tuple(EnvironmentVariable(name=name, value=value) for name, value in values.items())


def manifest(declared, **more):
    return Manifest(
        name="n",
        version="1",
        type=PackageType.IMAGE,
        member="image.tar",
        env=variables(declared),
        **more,
    )


def refusal(env, *, declared=("LOG_LEVEL",)):
    with pytest.raises(RequestError) as refused:
        environment.check(env, manifest=manifest(dict.fromkeys(declared, "")))
    return refused.value.reason


def test_every_undeclared_name_is_named_at_once():
    reason = refusal(variables({"AUTH_SERVER_ADDR": "a", "LOG_LEVEL": "b", "OTHER": "c"}))
    assert reason == (
        "Env: AUTH_SERVER_ADDR, OTHER: not declared by the package (it declares: LOG_LEVEL)"
    )


def test_declared_names_may_be_set_to_anything_of_a_good_length():
    env = variables({"LOG_LEVEL": "x" * 4096, "N" * 128: ""})
    environment.check(env, manifest=manifest({"LOG_LEVEL": "", "N" * 128: ""}))


def test_a_name_given_twice_is_refused():
    assert "LOG_LEVEL: twice" in refusal(variables({"LOG_LEVEL": "a"}) * 2)


def test_lengths_end_where_they_are_said_to():
    assert "LOG_LEVEL: a value of more than 4096" in refusal(variables({"LOG_LEVEL": "x" * 4097}))
    name = "N" * 129
    assert "a name of more than 128" in refusal(variables({name: ""}), declared=(name,))


@pytest.mark.parametrize("value", ["a\0b", "\ud800"])
def test_a_value_that_no_process_can_have_is_refused(value):
    assert "LOG_LEVEL: a value that is no text" in refusal(variables({"LOG_LEVEL": value}))


def test_nobody_asks_for_accelerators_by_a_variable():
    name = "NVIDIA_VISIBLE_DEVICES"
    assert f"{name}: decided by this node" in refusal(variables({name: "all"}), declared=(name,))


def test_a_refusal_shows_no_value_and_no_endless_or_unprintable_name():
    reason = refusal(variables({"N" * 5000: "secret-value", "a\nb": "secret-value", "": "x"}))
    assert "secret-value" not in reason
    assert "\n" not in reason
    assert len(reason) < 400


@given(declared=VALUES, env=VALUES, granted=VALUES, licence=st.none() | st.just("/l"))
def test_the_strongest_word_wins(declared, env, granted, licence):
    merged = environment.merge(
        variables(env), manifest=manifest(declared), granted=granted, licence_path=licence
    )
    weak = {**declared, **env}
    for name, value in merged.items():
        if name in granted:
            assert value == granted[name]
        elif name == "NVIDIA_VISIBLE_DEVICES":
            assert value == "void"
        elif name == "AUTH_SERVER_ADDR" and licence is not None:
            assert value == licence
        else:
            assert value == weak[name]
    assert set(weak) | set(granted) <= set(merged)


def test_a_package_does_not_take_another_vendors_chips_by_a_default():
    merged = environment.merge(
        (),
        manifest=manifest({"ASCEND_VISIBLE_DEVICES": "0-7", "EMPTY": ""}),
        granted={},
        licence_path=None,
    )
    assert merged == {"EMPTY": "", "NVIDIA_VISIBLE_DEVICES": "void"}


def test_the_licence_goes_where_the_package_says():
    path = environment.licence_path
    both = {"AUTH_SERVER_ADDR": "/opt/auth.lic"}
    assert path(manifest({}, licence_path="/l")) == "/l"
    assert path(manifest(both, licence_path="/l")) == "/l"
    assert path(manifest(both)) == "/opt/auth.lic"


@pytest.mark.parametrize("value", [None, "", "127.0.0.1:8088", "auth.lic"])
def test_a_package_that_does_not_say_where_takes_no_licence(value):
    declared = {} if value is None else {"AUTH_SERVER_ADDR": value}
    with pytest.raises(RequestError, match="AUTH_SERVER_ADDR"):
        environment.licence_path(manifest(declared))


@pytest.mark.parametrize(
    "place",
    [
        *("/", "//a", "/a/../b", "/a/", "/proc/1", "/sys/x", "/dev/null", "/a:b", "/a\nb", "/a\0"),
        *("l", "/" + "x" * 4096),
    ],
)
def test_a_licence_goes_to_no_place_that_cannot_be(place):
    with pytest.raises(RequestError, match="where no file can be"):
        environment.licence_path(manifest({}, licence_path=place))
