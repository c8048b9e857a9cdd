"""Owns what has to survive a power cut: one SQLite database in `node.state_dir`.

`database` opens it, brings it to the schema of this build and hands out transactions; every other
module holds the statements for one kind of thing. What a method has returned from is on the disk.
Nothing here decides anything.
"""
