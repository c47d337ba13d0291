"""Paths of any file system, files written whole, and JSON records."""
