"""A loopback Azure: unmodified SDK clients reach it through HTTPS_PROXY and a throw-away certificate authority.

It keeps what it is told, checks what it is asked (tokens, roles, official schemas), runs submitted jobs on this
machine, and serves container groups by really starting the scoring service. Nothing of the product knows of it.
"""
