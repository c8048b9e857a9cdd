"""Meters, hours and the questions of monitoring platforms in the running agent (TC609 annex B)."""
