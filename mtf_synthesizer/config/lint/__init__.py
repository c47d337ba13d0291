"""Checks of gin bindings that need no TensorFlow."""
