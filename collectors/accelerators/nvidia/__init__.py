"""Reads NVIDIA cards and MIG slices through NVML or nvidia-smi, a Jetson from kernel files too.

`calls` and `files` are the doors to NVML and the kernel, live or recorded; `nvml` and `tegra` ask
and convert nothing; `convert` and `tegra_convert` make the model of answers and ask nothing.
`smi` runs the tool, `smi_output` knows its forms, and `smi_convert` makes the model of them.
`explain` has words for return codes; `walk` lists cards; `grants` and `chosen` serve containers.
"""
