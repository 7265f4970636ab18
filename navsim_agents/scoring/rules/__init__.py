"""The rules, by what they look at. They are pure: simulated motion and a batch of scenes in, tensors out."""
