"""How right a map is: pure functions on counts and small arrays."""
