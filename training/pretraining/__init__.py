"""Self-supervised pretraining of the video encoder; the command is ``drive-jepa pretrain``."""
