"""What every room uses and no room owns: settings, the end of a command, locks, whole files, processes."""
