"""Reads Kunlunxin cards (K200, R200, R300, P800, RG800) through libxpuml or xpu-smi.

`xpuml` asks the library and `library_chips` reads its answers; `output` and the modules that it
names read what the tool prints; each of them makes `facts`. `convert` turns facts into the model,
`explain` has the words for what goes wrong, `driver` knows what the kernel driver leaves on the
machine, and `plugin` walks.
"""
