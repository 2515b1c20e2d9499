"""The operational store: small, transactional, many processes, SQLAlchemy.

Belongs here: what must never be lost or done twice. Does not belong here: analytics (warehouse), vendor
calls (connectors).
"""
