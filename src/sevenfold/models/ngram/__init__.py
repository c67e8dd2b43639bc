"""Networks that predict a token from a fixed number of tokens before it."""
