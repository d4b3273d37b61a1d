"""The sample catalogue: procedurally drawn titles whose shots, scenes and labels are known."""
