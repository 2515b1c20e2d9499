"""The only package that imports dagster: assets, checks, jobs, schedules, resources.

Belongs here: glue. Does not belong here: a rule of the domain; those live in the rooms beside this one.
"""
