"""MediaFM: contextual, tri-modal shot embeddings from your own catalogue.

The library. It never imports Dagster, and importing it does not import torch.
"""
