"""What leadership reads.

Belongs here: rendering of `mart` tables. Does not belong here: computing a number.
"""
