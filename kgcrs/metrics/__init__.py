"""What is measured: dialogue success, ranking quality, intervals, and arithmetic checks on printed tables."""
