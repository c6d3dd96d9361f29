"""Plays the tasks of `evals/tasks` and checks what came of them."""
