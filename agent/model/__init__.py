"""Holds what the agent knows, as frozen values in base units; does no input or output.

Units stand in the names: `_bytes`, `_ratio` (0 to 1), `_watts`, `_joules`, `_celsius`, `_seconds`.
Times are aware UTC. None means unknown, and `unknown` of the same object says why, field by field.
"""
