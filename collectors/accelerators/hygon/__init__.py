"""Reads Hygon cards through `hy-smi`, or `rocm-smi` of an older DTK.

`parse` turns the tool's text into facts and asks nothing; `plugin` says what is asked and when.
What all tools have in common is in `tool_passes`, `tables`, `quantities` and `cards` beside this
package.
"""
