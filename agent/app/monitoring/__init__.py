"""What monitoring platforms are told: the running agent and the commands (TC609 annex A)."""
