"""GitHub: job summaries and outputs, the registry's way between runs, pull requests and issues, the repository's settings.

Everything that leaves the machine goes through the `gh` command line and the token it has.
"""
