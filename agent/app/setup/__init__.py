"""Asks what the agent needs to know, tries it, and writes the configuration.

`answers` says what is asked and what is accepted, `dialog` asks on a terminal, `edit` puts answers
into a configuration's text, `staging` checks the result before anything is written, `trying` speaks
to the platform, and `installing` writes.
"""
