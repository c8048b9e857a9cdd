"""Owns IPMI: the power that a management controller tells through DCMI, asked by ipmitool."""
