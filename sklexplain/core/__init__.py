"""What every method shares: players, background, model, the engine and the explanation."""
