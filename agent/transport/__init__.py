"""Owns HTTP, both ways, and knows no standard.

`server` answers (waitress underneath: TLS, deadlines and limits added), `client` asks one platform
under a deadline over the whole exchange. What comes out is a status, headers and bytes, or an error
from `agent.errors` in plain words. Nothing here retries later, decodes JSON or checks a password.
Import the module you need: the client's library weighs nine times what the server's does.
"""
