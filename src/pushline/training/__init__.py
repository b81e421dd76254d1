"""Clean, features, AutoML, ensemble, evaluate, export, model card."""
