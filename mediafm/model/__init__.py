"""The transformer over shots. Sees tensors only."""
