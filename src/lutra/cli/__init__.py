"""The ``lutra`` command. Each command is one file, imported when it is used, so that the command starts fast."""
