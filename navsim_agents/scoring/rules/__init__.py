"""One rule a file. Rules are pure: simulated motion and a batch of scenes in, tensors out."""
