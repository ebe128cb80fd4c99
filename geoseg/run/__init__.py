"""One scene: plan, blocks, run store, report, pipeline."""
