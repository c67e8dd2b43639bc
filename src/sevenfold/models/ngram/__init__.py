"""Models of a token from the few before it, by counting or by features; and the chain of states behind them."""
