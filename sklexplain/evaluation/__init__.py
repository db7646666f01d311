"""How faithful, stable and alike explanations are: metrics, scorers, comparisons, folds."""
