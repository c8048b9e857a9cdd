"""Reads Iluvatar cards through `ixsmi`.

`parse` turns the tool's text into facts and asks nothing; `plugin` says what is asked and when.
What all tools have in common is in `tool_passes`, `tables`, `quantities` and `cards` beside this
package.
"""
