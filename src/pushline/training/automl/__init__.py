"""AutoML on this machine: a portfolio first, a search in the time left, a vote where it is better."""
