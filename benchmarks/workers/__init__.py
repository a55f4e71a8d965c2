"""One worker a system: a process that trains single steps on request (see `protocol`)."""
