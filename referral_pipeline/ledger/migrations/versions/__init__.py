"""One file a revision, in order. Does not belong here: code that a revision shares with the present program."""
