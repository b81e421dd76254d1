"""Summaries and the HTML report."""
