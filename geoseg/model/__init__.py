"""Model folders: card, weights, predictors. The only room that knows torch and smp."""
