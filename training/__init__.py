"""Commands for training and evaluation without a devkit."""
