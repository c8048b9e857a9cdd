"""Reads Cambricon cards (MLU) through libcndev, or from the table that cnmon prints.

`library` calls cndev and knows its structures (`structures`); `cndev` asks one thing after another;
`table` reads cnmon's text; both give the same raw facts (`facts`). `convert` turns these into the
model and asks nothing; `explain` has the words for failures; `grant` knows the device nodes;
`plugin` chooses the source and walks.
"""
