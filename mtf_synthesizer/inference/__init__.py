"""Evaluate, predict, score and export trained models."""
