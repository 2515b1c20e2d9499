"""Who is who: canonical e-mail and phone, name comparison, resolution of records to persons.

Belongs here: pure rules over records. Does not belong here: stores, vendor calls, credit (attribution).
"""
