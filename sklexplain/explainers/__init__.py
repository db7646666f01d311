"""The explainers: scikit-learn meta-estimators, one file a method."""
