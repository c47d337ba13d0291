"""Gin files and bindings as users give them, and requests built from them."""
