"""Numbers with a fraction, as the newer policies write them."""


def as_decimal(value: float) -> int | str:
    """A whole number, or a text with its decimals."""
    text = f"{value:.9f}".rstrip("0").rstrip(".")
    return int(text) if text.isdecimal() else text
