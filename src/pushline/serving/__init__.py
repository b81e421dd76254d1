"""The scoring service. It runs on the bare install and imports nothing of training."""
