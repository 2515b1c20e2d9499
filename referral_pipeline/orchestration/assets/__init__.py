"""The assets, one module per stretch of the way.

Belongs here: thin functions that call the bridge and put counts, previews and columns into metadata. Does not belong
here: a rule of the domain. Concept page: https://docs.dagster.io/guides/build/assets
"""
