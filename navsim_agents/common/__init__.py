"""Small pieces that every room and command may use."""
