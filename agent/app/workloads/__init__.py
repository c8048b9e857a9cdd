"""Algorithm packages and services in the running agent, and the commands on them."""
