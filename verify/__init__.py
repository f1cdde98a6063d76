"""Does the committed result come out again?

Used by continuous integration (``.ci/run``) and ``make verify``. The rule is in ``docs/ci.md``.
"""
