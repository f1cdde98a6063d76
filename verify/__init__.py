"""Whether the committed result can be reproduced.

Used by continuous integration (``.ci/run``) and ``make verify``. ``docs/ci.md`` has the rule.
"""
