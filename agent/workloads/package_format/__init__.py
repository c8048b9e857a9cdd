"""Owns the form of an algorithm package: what its file may hold, and how its image is taken out.

`manifest` reads algo.yaml, `inspection` checks a whole file, `image_stream` gives the image to an
engine, `building` makes a package. Nothing is ever extracted to the disk, and whatever a hostile
file holds, the only answer is PackageRefused.
"""
