"""Checks everything that the agent depends on, and says what to do about what is not well.

Each module is one topic and gives `Check`s; `examination` chooses them, `runner` runs them under
deadlines, `report` shows them, and `bundle` packs them for support without a secret.
"""
