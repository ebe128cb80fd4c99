"""Pure values and arithmetic on pixel grids: no file, no GPU, no cluster."""
