"""Self-supervised pretraining of the video encoder; the command is ``python -m training.pretrain``."""
