"""Turns the configuration file into typed settings, or into every problem of it at once.

`settings` is what the rest of the agent sees, `load` makes it from a file, `plugin_config` checks
a plugin's own section in the plugin's child process, `show` prints what is in force, and
`reference` writes `docs/configuration.md`. Only this package knows YAML, `${NAME}` and where a
secret comes from. Nothing here opens a socket or reads a secret that no setting names.
"""
