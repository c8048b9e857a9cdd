"""Owns the docker engine: everything that the docker SDK is asked, and its traps."""
