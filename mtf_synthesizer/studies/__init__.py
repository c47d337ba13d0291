"""Studies of models: speed, cost, attention maps, comparisons, the demo."""
