"""What every room uses and no room owns: conventions, errors, poses, settings, commands, locks, files, processes."""
