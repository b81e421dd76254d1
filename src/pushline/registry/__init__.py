"""The model registry: training runs, model versions, champion and challenger, the promotion decision."""
