"""What every room uses and no room owns: conventions, errors, poses, settings, the end of a command, locks."""
