"""Evaluation: metrics of the paper's tables from a checkpoint, result tables with intervals, figures."""
