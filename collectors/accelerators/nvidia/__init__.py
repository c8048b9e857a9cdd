"""Reads NVIDIA cards and their MIG slices through NVML.

`nvml` asks the library and converts nothing; `convert` turns its answers into the model and asks
nothing; `explain` has the words for every return code; `plugin` walks over the cards.
"""
