"""Owns SM2 and SM3, credentials and the TLS of our listeners.

The only package that touches a crypto library: `sm2` encrypts and opens a password, `sm3` hashes,
`self_test` shows that both still do, `credentials` reads and compares secrets, `tls` makes a
server's context. `points`, `der`, `keys`, `layouts` and `cipher` are what `sm2` is built of.
gmssl is imported at the first use of the curve, so a node without a platform never pays for it.
"""
