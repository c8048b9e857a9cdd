"""Reads accelerators, one package for each vendor; none knows of another.

Each plugin runs in a child process of its own, because a vendor's library may hang or crash.
"""
