"""Reads NVIDIA cards and their MIG slices through NVML, and a Jetson from the kernel's files too.

`calls` and `files` are the doors, live or recorded; `nvml` and `tegra` ask through them and convert
nothing; `convert` and `tegra_convert` turn answers into the model and ask nothing; `explain` has
the words for return codes; `walk` lists cards, and `grants` says what containers need.
"""
