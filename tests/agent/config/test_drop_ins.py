"""The files of conf.d beside the configuration file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.config import show
from agent.config.load import Loaded, load
from agent.errors import ConfigError

NODE = 'node: {code: "11010800005020000001", type: AI_BOX}\n'
API = "device_api: {password_file: password}\n"
Site = Callable[..., Loaded]


@pytest.fixture
def site(folder: Path) -> Site:
    """Return a function that writes a configuration file and drop-ins, and loads them."""

    def load_site(main: str, environment: dict[str, str] | None = None, **drop_ins: str) -> Loaded:
        (folder / "config.yaml").write_text(main)
        (folder / "conf.d").mkdir(exist_ok=True)
        for name, text in drop_ins.items():
            (folder / "conf.d" / f"{name}.yaml").write_text(text)
        return load(folder / "config.yaml", environment=environment or {})

    return load_site


def problems(caught: pytest.ExceptionInfo[ConfigError], folder: Path) -> list[str]:
    return [str(each).replace(f"{folder}/", "") for each in caught.value.problems]


def test_a_section_of_a_drop_in_is_merged_key_by_key(site: Site) -> None:
    loaded = site(
        NODE + API + "collect: {interval_seconds: 20, disks: [/]}",
        site="device_api: {username: box}\ncollect: {interval_seconds: 30}",
    )
    assert loaded.settings.device_api is not None
    assert loaded.settings.device_api.username == "box"
    assert loaded.settings.device_api.password.reveal() == "opensesame"
    assert loaded.settings.collect.interval_seconds == 30
    assert loaded.settings.collect.disks == ("/",)


def test_the_file_whose_name_comes_later_wins(site: Site) -> None:
    loaded = site(NODE, b="log: {level: error}", a="log: {level: debug, format: json}")
    assert (loaded.settings.log.level, loaded.settings.log.format) == ("error", "json")
    assert [Path(each).name for each in loaded.drop_ins] == ["a.yaml", "b.yaml"]


def test_a_list_takes_the_place_of_the_former(site: Site) -> None:
    loaded = site(NODE + "collect: {disks: [/, /data]}", site="collect: {disks: [/srv]}")
    assert loaded.settings.collect.disks == ("/srv",)


def test_drop_ins_can_say_everything(site: Site) -> None:
    loaded = site("# nothing here\n", site=NODE)
    assert loaded.settings.node.type == "AI_BOX"


def test_a_drop_in_of_comments_changes_nothing(site: Site) -> None:
    loaded = site(NODE + API, a="# device_api:\n", b="device_api:\n  # username: box\n")
    assert loaded.settings.device_api is not None
    assert loaded.settings.device_api.username == "admin"


def test_null_switches_a_section_off(site: Site) -> None:
    assert site(NODE + API, site="device_api: null").settings.device_api is None


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("password: ${FIRST}", "password_file: password"),
        ("password_file: no-such", "password: ${THEN}"),
    ],
)
def test_a_secret_from_elsewhere_takes_the_place_of_the_former(
    site: Site, first: str, then: str
) -> None:
    loaded = site(
        f"{NODE}device_api:\n  {first}",
        environment={"FIRST": "one", "THEN": "opensesame"},
        site=f"device_api:\n  {then}",
    )
    assert loaded.settings.device_api is not None
    assert loaded.settings.device_api.password.reveal() == "opensesame"


def test_a_path_is_relative_to_the_configuration_file(site: Site, folder: Path) -> None:
    (folder / "conf.d").mkdir()
    (folder / "conf.d" / "password").write_text("another\n")
    loaded = site(NODE, site=API)
    assert loaded.settings.device_api is not None
    assert loaded.settings.device_api.password.reveal() == "opensesame"


def test_every_problem_names_its_own_file_and_line(site: Site, folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        site(
            "node: {code: 1, type: AI_BOX}\nlogg: {}\n",
            b="log:\n  level: loud\n",
            a="collect:\n  interval_seconds: 0\n  interval_seconds: 1\n",
            c="log: [\n",
            d="- a list\n",
        )
    found = problems(caught, folder)
    assert [each.partition(": ")[0] for each in found] == [
        "conf.d/a.yaml:3:3",
        "conf.d/c.yaml:2:1",
        "conf.d/d.yaml:1:1",
    ]
    for name in ("a", "c", "d"):
        (folder / "conf.d" / f"{name}.yaml").unlink()
    with pytest.raises(ConfigError) as caught:
        load(folder / "config.yaml", environment={})
    found = problems(caught, folder)
    assert [each.partition(": ")[0] for each in found] == [
        "config.yaml:1:14",
        "config.yaml:2:1",
        "conf.d/b.yaml:2:10",
    ]


def test_a_rule_between_settings_names_the_file_of_the_culprit(site: Site, folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        site(
            NODE + API,
            site="acsmp:\n  - {name: city, url: https://a.example, sm2_public_key_file: city.pem}\n"
            "  - {name: city, url: https://b.example, sm2_public_key_file: city.pem}\n",
        )
    (found,) = problems(caught, folder)
    assert found.startswith("conf.d/site.yaml:3:6: acsmp[1].name: ")


def test_what_a_plugin_checks_itself_names_the_file(site: Site) -> None:
    loaded = site(
        NODE + "accelerators: {nvidia: {library: a.so}}",
        site="accelerators:\n  nvidia: {tool: smi, ports: [1]}",
    )
    options = loaded.settings.accelerators["nvidia"].options
    assert options.file.endswith("config.yaml")
    assert {path: Path(file).name for path, file in options.files.items()} == {
        "tool": "site.yaml",
        "ports": "site.yaml",
        "ports[0]": "site.yaml",
    }
    assert type(options).from_json(options.to_json()).files == options.files


def test_a_warning_names_its_own_file(site: Site) -> None:
    loaded = site(
        NODE + API,
        site="acsmp:\n  - {name: a, url: http://a.example, sm2_public_key_file: city.pem}\n",
    )
    assert any("conf.d/site.yaml:2:" in str(each) for each in loaded.warnings)
    assert loaded.problem("acsmp[0].name", "x").file.endswith("conf.d/site.yaml")


def test_what_is_printed_holds_what_drop_ins_say(site: Site) -> None:
    assert "level: error" in show.render(site(NODE, site="log: {level: error}"))


def test_other_names_are_not_read_and_one_that_looks_like_it_is_told(
    site: Site, folder: Path
) -> None:
    (folder / "conf.d").mkdir()
    for name in (".a.yaml", "a.yaml~", "a.yaml.dpkg-dist", "a.yml", "README"):
        (folder / "conf.d" / name).write_text("wrong: [")
    loaded = site(NODE)
    (warning,) = loaded.warnings
    assert str(warning).endswith("conf.d/a.yml: is not read; only names that end in .yaml are")


def test_a_folder_of_too_many_files_is_refused(site: Site, folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        site(NODE, **{f"f{number:03}": "" for number in range(65)})
    assert problems(caught, folder) == ["conf.d: holds more than 64 files"]


def test_what_is_no_file_is_refused_beside_every_other_problem(site: Site, folder: Path) -> None:
    (folder / "conf.d").mkdir()
    os.mkfifo(folder / "conf.d" / "pipe.yaml")
    (folder / "conf.d" / "folder.yaml").mkdir()
    (folder / "conf.d" / "link.yaml").symlink_to("nowhere")
    with pytest.raises(ConfigError) as caught:
        site("node: {}")
    assert [each for each in problems(caught, folder) if each.startswith("conf.d")] == [
        "conf.d/folder.yaml: cannot be read: Is a directory",
        "conf.d/link.yaml: there is no such file; is it a link to one that is gone?",
        "conf.d/pipe.yaml: is not a regular file",
    ]
    assert any(each.startswith("config.yaml:1:1: node.code") for each in problems(caught, folder))


def test_a_file_in_place_of_the_folder_is_refused(folder: Path) -> None:
    (folder / "config.yaml").write_text(NODE)
    (folder / "conf.d").write_text("")
    with pytest.raises(ConfigError) as caught:
        load(folder / "config.yaml", environment={})
    assert problems(caught, folder) == ["conf.d: is a file; a folder is expected"]


def test_no_folder_is_no_fault(folder: Path) -> None:
    (folder / "config.yaml").write_text(NODE)
    assert load(folder / "config.yaml", environment={}).drop_ins == ()
