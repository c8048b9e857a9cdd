"""Reads Ascend chips through DCMI, or through npu-smi where DCMI does not answer.

`library`, `layouts` and `dcmi` ask the library; `npu_smi` runs the tool, `table` and `listings`
read what it printed, and `rounds` asks for what its table leaves open (`details`, `refine`). Both
give `facts`, in the vendor's own units; `convert` turns these into the model. `explain` has the
words for codes and error texts, `containers` what a container needs.
"""
