"""The run behind a number: training, experiment, record, and what would make it stale."""
