"""From labelled pixels to fitted weights: splits, crops, losses, the loop, calibration."""
