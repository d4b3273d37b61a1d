"""MLflow's view of training: runs, models, versions and aliases, and the flavour that MLflow itself loads.

The only room that knows MLflow, and it imports it inside functions only.
"""
