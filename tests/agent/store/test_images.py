from pathlib import Path

from agent.store.database import Database
from agent.store.images import LoadedImages


def test_references_survive_the_agent(tmp_path: Path):
    database = Database(tmp_path)
    LoadedImages(database).add("computility-agent/package:a")
    LoadedImages(database).add("computility-agent/package:b")
    database.close()

    database = Database(tmp_path)
    images = LoadedImages(database)

    assert images.all() == {"computility-agent/package:a", "computility-agent/package:b"}
    images.discard("computility-agent/package:a")
    assert images.all() == {"computility-agent/package:b"}
    database.close()


def test_adding_and_discarding_twice_is_fine(tmp_path: Path):
    database = Database(tmp_path)
    images = LoadedImages(database)

    images.add("r")
    images.add("r")
    assert images.all() == {"r"}
    images.discard("r")
    images.discard("r")
    assert images.all() == frozenset()
    database.close()
