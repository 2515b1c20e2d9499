"""DuckDB: connection, schemas, SQL models, published copies.

Belongs here: the only `duckdb.connect` of the project and the SQL that builds staging, core and marts. Does not belong
here: operational state (ledger), vendor calls.
"""
