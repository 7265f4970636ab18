"""Names that YAML, Hydra or pandas read as something else where nobody tells them not to."""

AWKWARD = (
    "0123456701234567",  # an octal number in YAML
    "12345678901234e5",  # a float
    "1234567890123456",
    "1e999",  # infinity
    "12_34",
    "1_2e3",
    "+12",
    "-5",
    "1.0",
    "0x1f",
    "0b11",
    "0o17",
    "1:30:00",  # 5400 in base 60
    ".inf",
    ".nan",
    "inf",
    "nan",
    "NA",
    "null",
    "~",
    "true",
    "yes",
    "off",
    "2021-10-05",
    "=",
)
