"""Values are put into a configuration's text, and nothing else of it changes."""

from __future__ import annotations

import hypothesis
import pytest
import yaml
from hypothesis import strategies

from agent.app.setup import edit
from agent.errors import PermanentError

SHIPPED = """\
# Fill in the code (填写).
node:
  # Computility code (算力编码).
  code: ""
  type: AI_BOX  # what it is
  #state_dir: /var/lib/computility-agent

# The API (设备接口).
device_api:
  # Port (端口).
  #listen: 0.0.0.0:8123
  password_file: /etc/computility-agent/device-api.password
  #tls:
    #username: no-key-of-this-section
  #username: admin

#acsmp:
  #- name: city
    #url: https://acsmp.example
#metrics:
  #listen: 127.0.0.1:9810
"""


def lines_changed(before, after):
    """Return the lines that are gone and those that are new."""
    old, new = before.splitlines(), after.splitlines()
    return [line for line in old if line not in new], [line for line in new if line not in old]


def test_an_empty_value_is_filled_in_and_comments_stay():
    edited = edit.with_values(SHIPPED, "node", {"code": "1" * 20, "type": "AI_BOX"})
    assert lines_changed(SHIPPED, edited.text) == (['  code: ""'], ['  code: "' + "1" * 20 + '"'])
    assert edited.replaced == ()


def test_a_changed_value_is_told_and_the_comment_behind_it_stays():
    edited = edit.with_values(SHIPPED, "node", {"type": "CAP"})
    assert lines_changed(SHIPPED, edited.text) == (
        ["  type: AI_BOX  # what it is"],
        ["  type: CAP  # what it is"],
    )
    assert edited.replaced == ("node.type: AI_BOX",)


def test_a_setting_behind_a_comment_sign_is_put_in_its_place():
    edited = edit.with_values(SHIPPED, "device_api", {"username": "me", "listen": "127.0.0.1:1"})
    assert lines_changed(SHIPPED, edited.text) == (
        ["  #listen: 0.0.0.0:8123", "  #username: admin"],
        ['  listen: "127.0.0.1:1"', "  username: me"],
    )


def test_a_setting_that_is_nowhere_comes_behind_the_last():
    edited = edit.with_values(SHIPPED, "device_api", {"prefix": "/X"})
    text = edited.text.splitlines()
    assert text[text.index("  prefix: /X") - 1].startswith("  password_file: ")


def test_a_section_of_a_comment_is_no_section():
    edited = edit.with_values(SHIPPED, "device_api", {"url": "x"})
    assert "    #url: https://acsmp.example\n" in edited.text
    assert yaml.safe_load(edited.text)["device_api"]["url"] == "x"


def test_a_list_that_is_missing_is_made_at_the_end():
    edited = edit.with_item(SHIPPED, "acsmp", "city", {"url": "https://x.example"})
    assert edited.text == SHIPPED + '\nacsmp:\n  - name: city\n    url: "https://x.example"\n'


@pytest.mark.parametrize(
    "before",
    [
        "acsmp:\n  - name: city\n    url: x\n\n# next\nlog:\n  level: info\n",
        "acsmp:\n- name: city\n  url: x\n# next\nlog:\n  level: info\n",
        "acsmp:\n    -   url: x\n        name: city\nlog:\n  level: info",
    ],
)
def test_an_item_is_added_behind_the_others_and_changed_by_its_name(before):
    added = edit.with_item(before, "acsmp", "region", {"url": "y"}).text
    changed = edit.with_item(added, "acsmp", "city", {"url": "z", "ca_file": "ca.pem"})
    assert changed.replaced == ("acsmp.url: x",)
    found = yaml.safe_load(changed.text)
    assert found == {
        "acsmp": [
            {"name": "city", "url": "z", "ca_file": "ca.pem"},
            {"name": "region", "url": "y"},
        ],
        "log": {"level": "info"},
    }
    assert changed.text.count("# next") == before.count("# next")


def test_a_section_without_anything_in_it_is_filled():
    edited = edit.with_item("acsmp:\nlog:\n  level: info\n", "acsmp", "city", {"url": "x"})
    assert edited.text == "acsmp:\n  - name: city\n    url: x\nlog:\n  level: info\n"
    edited = edit.with_values("node:\n", "node", {"code": "x"})
    assert edited.text == "node:\n  code: x\n"


def test_a_key_without_a_value_is_given_one():
    edited = edit.with_values("node:\n  code:   # fill in\n  type: x\n", "node", {"code": "z"})
    assert edited.text == "node:\n  code: z   # fill in\n  type: x\n"


def test_windows_lines_stay():
    edited = edit.with_values("node:\r\n  code: x\r\n", "node", {"code": "z", "type": "CAP"})
    assert edited.text == "node:\r\n  code: z\r\n  type: CAP\r\n"


@pytest.mark.parametrize(
    "text",
    [
        "{node: {code: x}}",
        "node: {code: x}\n",
        "node:\n  code: |\n    x\n",
        "node: &a\n  code: x\n",
        "node:\n  code: &a x\n",
        "node:\n  code: [x]\n",
        "node: [x]\n",
        'node:\n  code: "x\n    y"\n',
        "node: null\n",
        "node: [\n",
    ],
)
def test_what_is_written_otherwise_is_refused(text):
    with pytest.raises(PermanentError, match="the section node cannot be edited here"):
        edit.with_values(text, "node", {"code": "y"})


WORDS = strategies.text(
    strategies.characters(
        blacklist_categories=("Cs", "Cc"), blacklist_characters="\ufeff\ufffe\uffff"
    ),
    min_size=1,
    max_size=30,
)


@hypothesis.given(value=WORDS, old=WORDS, comment=WORDS)
def test_every_value_comes_back_as_it_was_given(value, old, comment):
    remark = "".join(comment.split())
    code = f"  code: {edit._scalar(old)}  # {remark}\n"
    text = f"node:\n  # {remark}\n{code}  type: AI_BOX\nlog:\n  level: info\n"
    edited = edit.with_values(text, "node", {"code": value, "new": value})
    found = yaml.safe_load(edited.text)
    # A dollar sign is written twice: one alone begins a variable.
    assert found["node"]["code"] == value.replace("$", "$$")
    assert found["node"]["new"] == value.replace("$", "$$")
    assert (found["node"]["type"], found["log"]) == ("AI_BOX", {"level": "info"})
    assert edited.text.count(f"# {remark}") == 2
