"""Training entry points: flags, data, stages, save. No mathematics."""
