"""What ``scale.py`` measures and computes."""
