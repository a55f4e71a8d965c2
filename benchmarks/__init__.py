"""Times rnnkit beside its peers (`make bench`) and checks its accuracy (`make accuracy`)."""
