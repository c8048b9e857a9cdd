"""Owns algorithm packages and algorithm services: what was asked for, and its way to the runtime.

`packages` takes and keeps package files, `services` what should run, `reconciler` compares that
with what the runtime has and acts. Packages and services are on the disk before a caller is
answered; everything else here can be killed at any moment. Knows no standard and no engine.
"""
