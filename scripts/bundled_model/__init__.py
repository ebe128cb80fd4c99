"""How the bundled model is made: data, augmentation, fitting, scoring, facts."""
