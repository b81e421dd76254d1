"""Training: clean, features, AutoML, ensemble, evaluate, export, model card.

- `stage.py`, `best_model.py`: the stage, on whatever target
- `prepare.py`, `features.py`, `leakage.py`: from the table to the rows a model learns from
- `find.py`, `automl/`: the search
- `nodes.py`, `graph.py`, `trees.py`: fitted models as one ONNX graph
- `conclude.py`, `threshold.py`, `evaluate.py`, `metrics.py`: figures, threshold and doubts of the model that was found
- `quantity.py`, `interval.py`: the same for a quantity
- `export.py`, `explanation.py`, `card.py`: the model folder
- `azure_model.py`: a model that Azure's AutoML made
- `judge.py`: any version on any labelled file
"""
