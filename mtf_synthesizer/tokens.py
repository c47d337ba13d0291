"""Ids that all vocabularies of T5 share."""

EOS = 1
