"""The differences that are meant: (server, step, words of the difference, why), the first two as globs."""

REASONS = [
]
