"""Owns the monitoring interfaces of TC609 (算力监测接口): annex A is called, annex B is served.

The only place with its wire names.
"""
