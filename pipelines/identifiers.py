"""Columns that may tell who a person is, after the eighteen kinds of the HIPAA privacy rule's safe harbour.

Source: 45 CFR 164.514(b)(2). Names and contents are looked at; a find is a suspicion that a person decides.
"""

import re
from collections.abc import Sequence

import pandas as pd

WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_a-zA-Z]+")
NUMBERED = r"(?: |$)(?:number|numb|num|no|nr|id|code)\b"

# What the words of a name suggest, and what its cells must look like for it to count.
BY_NAME = {
    "a person's name": (
        r"\b(?:first|last|middle|maiden|given|family|full|patient|person|contact|doctor|physician) ?names?\b"
        r"|^(?:name|surname|forename|lastname|firstname|initials|姓名|患者姓名)$",
        r"[^\d]*",
    ),
    "a place smaller than a state": (
        r"\b(?:address|street|zip|zipcode|post ?code|postal|city|town|village|county|latitude|longitude)\b|地址|邮编",
        r".*",
    ),
    "a date of birth": (r"\b(?:dob|birth ?date|birth ?day|date of birth|born on)\b|出生日期|生日", r".*\d.*"),
    "a telephone or fax number": (r"\b(?:phone|telephone|mobile|tel|fax)\b|电话|手机", r"(?:\D*\d){7,}\D*"),
    "an e-mail address": (r"\be ?mail\b|邮箱", r".*@.*"),
    "a national or insurance number": (
        rf"\b(?:ssn|social security|nhs{NUMBERED}|passport|national{NUMBERED})|身份证|医保"
        rf"|\b(?:insurance|policy|plan|beneficiary|member|account|licen[cs]e|certificate){NUMBERED}",
        r".*\d.*",
    ),
    "a record number": (
        rf"\b(?:mrn|medical record|(?:record|chart|hospital|admission|encounter|case){NUMBERED})|病历号|住院号|门诊号",
        r".*\d.*",
    ),
    "a device or vehicle number": (rf"\b(?:vin|licen[cs]e plate|(?:device|serial|vehicle){NUMBERED})", r".*\d.*"),
    "a web or network address": (r"\b(?:url|website|homepage|ip|ip ?address|mac ?address)\b", r".*[.:].*"),
    "a biometric mark or a photograph": (r"\b(?:finger ?print|voice ?print|photo|photograph)\b", r".*"),
}
BY_CONTENT = {
    "an e-mail address": r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}",
    "a national number": r"\d{3}-\d{2}-\d{4}",
    "a telephone number": r"\+?\(?\d[\d ()/-]*[ ()/-][\d ()/-]*",
    "a network address": r"\d{1,3}(?:\.\d{1,3}){3}",
    "a web address": r"https?://\S+",
}
LOOKED_AT = 200


def words(name: str) -> str:
    """A column's name as lower-case words: `DateOfBirth` and `date_of_birth` read `date of birth`."""
    return " ".join(WORD.findall(name)).lower()


def identifying(name: str, distinct: Sequence[str]) -> str | None:
    """What a column may identify a person by, or None.

    `distinct` holds the column's different texts that are not blank. Two of them or fewer identify nobody.
    """
    if len(distinct) <= 2:
        return None
    sample = pd.Series(distinct[:LOOKED_AT], dtype="str")
    for kind, (named, shaped) in BY_NAME.items():
        if re.search(named, words(name)) and sample.str.fullmatch(shaped).mean() > 0.5:
            return kind
    for kind, shaped in BY_CONTENT.items():
        alike = sample.str.fullmatch(shaped)
        if kind == "a telephone number":
            alike &= sample.str.count(r"\d").between(9, 15)  # a date has eight digits
        if alike.mean() > 0.5:
            return kind
    return None
