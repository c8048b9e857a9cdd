"""Owns Redfish: chassis and PDUs that tell their energy to a management network."""
