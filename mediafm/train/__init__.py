"""One training run: the loop, what it learnt (skill, layers), the checkpoint and its pictures."""
