"""Load a pipeline file; run it here; submit, publish and schedule it on Azure ML."""
