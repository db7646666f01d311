"""Mathematics: arrays in, arrays out; no estimators, no input or output."""
