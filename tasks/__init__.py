"""Tasks: importing this package registers every task with seqio."""
