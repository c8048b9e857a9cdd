"""Owns SNMP: PDUs whose registers are described by profiles, over version 2c or 3."""
