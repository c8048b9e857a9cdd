"""Owns the arithmetic of meters: from readings to deltas, to hours, to the figures of a centre.

Pure: no clock, no file, no thread. Whole joules and millilitres; unknown is None with its reason.
"""
