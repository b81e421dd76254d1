"""Credentials and clients of Azure: the only place that imports azure.*."""
