"""Pushline: from git push to a served, approved, load-tested classifier."""

__version__ = "0.1.0"
