"""What a training run minimises. Sees tensors only."""
