"""Clips of driving videos for pretraining: manifests, decoders, a weighted and resumable loader."""
