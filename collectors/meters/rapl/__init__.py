"""Owns RAPL: the energy that a processor counts of itself."""
