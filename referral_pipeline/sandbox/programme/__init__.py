"""A seeded advocacy programme, the ATS content that fits it, and the truth about both.

Belongs here: invented people and everything that happened to them, by construction. Does not belong here: any import of
`identity`, `attribution` or `sync`: what the product should find out must not be worked out by the product.

`generate(seed, as_of, size)` answers a `Programme`; the same three give the same rows to the last byte.
"""

from referral_pipeline.sandbox.programme.generate import Programme, ProgrammeSize, generate

__all__ = ["Programme", "ProgrammeSize", "generate"]
