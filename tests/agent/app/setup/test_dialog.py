"""A person is asked until each answer is good."""

from __future__ import annotations

import io

import pytest

from agent.app.setup import answers
from agent.app.setup.dialog import Dialog
from agent.errors import BadInput
from agent.security import sm2


def dialog(text, *, secrets=()):
    typed = iter(secrets)

    def read(_prompt):
        try:
            return next(typed)
        except StopIteration as ended:
            raise EOFError from ended

    return Dialog(input=io.StringIO(text), output=io.StringIO(), read_secret=read)


def test_a_bad_answer_is_explained_and_asked_again():
    asked = dialog("12\n\n" + "1" * 20 + "\n")
    assert asked.ask(answers.CODE, default=None) == "1" * 20
    said = asked.output.getvalue()
    assert said.count("Computility code, 20 digits 算力编码: ") == 3
    assert "  expected 20 digits; it has 2 digits\n" in said


def test_an_empty_line_takes_the_default_which_is_shown():
    asked = dialog("\n")
    assert asked.ask(answers.TYPE, default="AI_BOX") == "AI_BOX"
    assert "算力类型 (EDGE_COMPUTE_DEVICE, " in asked.output.getvalue()
    assert asked.output.getvalue().endswith(" [AI_BOX]: ")


def test_a_key_is_pasted_over_several_lines():
    key = sm2.generate_key_pair().public_key
    asked = dialog(key.to_pem() + "next\n")
    assert asked.ask_for("key", answers.public_key, default=key, shown=None) == key
    assert asked.input.readline() == "next\n"


def test_a_secret_is_typed_twice_and_never_shown():
    asked = dialog("", secrets=["first-try", "second", "x" * 40, "same-one", "same-one"])
    assert asked.ask_secret("Password", answers.password).reveal() == "same-one"
    said = asked.output.getvalue()
    assert "两次输入不一致" in said
    for secret in ("first-try", "same-one", "x" * 40):
        assert secret not in said


def test_nothing_typed_is_no_secret():
    assert dialog("", secrets=[""]).ask_secret("Password", answers.password) is None


@pytest.mark.parametrize(("line", "agrees"), [("y", True), ("是", True), ("n", False), ("", False)])
def test_only_yes_agrees(line, agrees):
    assert dialog(line + "\n").agrees("Sure?") is agrees


def test_an_input_that_ends_writes_nothing():
    for ask in (
        lambda one: one.ask(answers.CODE, default=None),
        lambda one: one.agrees("Sure?"),
        lambda one: one.ask_secret("Password", answers.password),
    ):
        with pytest.raises(BadInput, match="nothing was written"):
            ask(dialog(""))
