"""Reads AMD cards from the amdgpu driver's files in /sys, or through `rocm-smi`.

`sysfs` asks the kernel and converts nothing; `convert` turns its answers into facts and asks
nothing; `parse` does that for the tool's JSON; `plugin` chooses and walks.
"""
