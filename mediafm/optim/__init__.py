"""Optimizers by parameter group, and the schedule of their learning rates. Sees `nn.Module` only."""
