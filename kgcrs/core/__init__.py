"""What every other part stands on: errors, settings, random streams, checkpoints and run folders."""
