"""A package to copy for a new vendor: reads the cards of a vendor that does not exist, ACME.

`parse` turns the text of `acme-smi` into facts and asks nothing; `plugin` says what is asked and
when. No entry point names it, so no agent runs it; its tests run like those of any vendor.
../README.md has the steps.
"""
