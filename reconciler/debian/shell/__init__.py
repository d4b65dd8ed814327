"""A part of the shell's language, read and interpreted against a root in memory: no process is ever started."""
