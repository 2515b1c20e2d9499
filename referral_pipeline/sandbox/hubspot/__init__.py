"""A local HubSpot CRM: contacts, properties, search, webhooks, as strict as the vendor's own document.

Belongs here: everything that plays this vendor. Does not belong here: what other sandboxes share (`sandbox.webhooks`,
`sandbox.faults`, `sandbox.drift`).
"""
