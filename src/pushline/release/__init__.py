"""Targets: where releases live. Deploy a candidate, smoke it, load it, promote it, roll back."""
