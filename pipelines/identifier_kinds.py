"""The words and patterns of the eighteen kinds of identifiers of HIPAA's safe harbour.

Source: 45 CFR 164.514(b)(2)(i)(A) to (R). Names in English with common abbreviations, some in Chinese.
"""

from dataclasses import dataclass

from contracts.study import Protection

DROP = Protection(drop=True)
SHIFT, CAP = Protection(shift_dates=182), Protection(cap=89)

_NUMBERED = r" ?(?:number|numb|num|no|nr|id|ids|code|identifier|key)"
# The first characters of most Chinese names.
_COMMON = (
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶余潘杜戴夏钟"
    "汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段钱汤尹黎易常武"
)
_CAPITAL = r"[A-ZÀ-ÖØ-Þ](?:[a-zß-öø-ÿ]*['’-]?[A-ZÀ-ÖØ-Þ]?[a-zß-öø-ÿ]+|\.)"
_YEAR, _MONTH = r"(?:19|20)\d\d", r"(?:[A-Za-z]{3,9}\.?)"
_DAY = rf"(?:{_YEAR}[-/.]\d\d?[-/.]\d\d?|\d\d?[-/.]\d\d?[-/.]{_YEAR})"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of identifier and how it is recognised.

    named: what the words of a column's name say; it counts when most different texts fit `shaped`.
    alike: what most different texts are, with a number of digits within `digits`.
    within: what in a single cell is proof enough.
    advice: what the error proposes. role: whether an id, patient or time column may be such without a decision.
    """

    what: str
    named: str = r"(?!)"
    shaped: str = r".*"
    alike: str = ""
    digits: tuple[int, int] = (0, 10**6)
    within: str = ""
    advice: Protection = DROP
    role: bool = False


EMAIL = r"[^@\s,;<>]+@[^@\s,;<>]+\.[A-Za-z]{2,}"
BIRTH, DATE, AGE, OTHER = "a date of birth", "a date finer than a year", "an age over 89", "a unique code"
KINDS = (
    Kind(
        what="an e-mail address",
        named=r"\be ?mail\b|邮箱",
        shaped=r".*@.*",
        alike=EMAIL,
        within=rf"\b{EMAIL}\b",
    ),
    Kind(
        what="a web address",
        named=r"\b(?:url|uri|web ?site|web ?page|home ?page|facebook|twitter|instagram|linked ?in)\b",
        shaped=r".*[.:/@].*",
        within=r"\b(?:https?|ftp)://\S+|\bwww\.[\w-]+\.\w\S*",
    ),
    Kind(
        what="a social security or national number",
        named=rf"\b(?:ssn|soc(?:ial)? ?sec(?:urity)?|nhs{_NUMBERED}|nino|tax ?(?:payer)?{_NUMBERED}|personal{_NUMBERED}"
        rf"|(?:national|citizen|identity)(?: ?(?:insurance|identity|card))?{_NUMBERED})\b|身份证",
        shaped=r"(?:.*\d){4,}.*",
        alike=r"[1-9]\d{5}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx]",
        # Areas 000, 666 and 9xx, group 00 and serial 0000 are never given.
        within=r"(?:^|[^\d-])(?:00[1-9]|0[1-9]\d|[1-578]\d\d|6[0-57-9]\d|66[0-57-9])-(?:0[1-9]|[1-9]\d)"
        r"-(?:000[1-9]|00[1-9]\d|0[1-9]\d\d|[1-9]\d{3})(?:[^\d-]|$)",
    ),
    Kind(
        what="a network address",
        named=r"\b(?:ip|ipv[46]|ip ?addr(?:ess)?)\b",
        shaped=r".*[.:].*",
        alike=r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)"
        r"|(?:[0-9A-Fa-f]{0,4}:){3,7}[0-9A-Fa-f]{0,4}",
        within=r"(?i:\bip(?: address)?)\W{1,3}\d{1,3}(?:\.\d{1,3}){3}\b",
    ),
    Kind(what="a fax number", named=r"\b(?:tele)?fax\b|传真", shaped=r"(?:\D*\d){7,}\D*"),
    Kind(
        what="a telephone number",
        named=r"(?:\b|^)(?:(?:tele|cell ?|mobile ?|home ?|work ?)?phones?|mobile|tel|cell ?no|pager)(?:\b|number|no)"
        r"|电话|手机",
        shaped=r"(?:\D*\d){7,}\D*",
        alike=r"(?:\+\d|\(?0[1-9])[\d ()/.-]*[ ()/.-][\d ()/.-]*|\(?\d[\d ()/-]*[ ()/-]\d{3,}|1[3-9]\d{9}|\+\d{9,}",
        digits=(9, 15),
        within=r"(?:^|[^\d.+-])(?:\+?1[ .-])?(?:\([2-9]\d\d\) ?|[2-9]\d\d-)[2-9]\d\d-\d{4}(?:[^\d.-]|$)"
        r"|(?:^|[^\d])\+[1-9]\d{0,2}[ -]\(?\d{1,4}\)?[ -]\d[\d -]{4,}\d",
    ),
    Kind(
        what=BIRTH,
        named=r"\b(?:dob|birth ?(?:date|day|dt|ts)|date ?of ?birth|born(?: ?on)?|bdate)\b|出生日期|生日",
        shaped=r"(?:\D*\d){5,}\D*|.*[A-Za-z].*\d.*",
        advice=SHIFT,
    ),
    Kind(
        what=DATE,
        named=r"\b(?:dates?|dt|dod|timestamp|date ?time)\b"
        r"|\b(?:admission|discharge|death|visit|birth)(?:date|dt|time)\b|日期|入院时间|出院时间",
        shaped=r"(?:\D*\d){5,}\D*",
        alike=rf"(?:{_DAY}|\d\d?[-/.]\d\d?[-/.]\d\d|{_YEAR}[-/](?:0[1-9]|1[0-2])|(?:0[1-9]|1[0-2])[-/]{_YEAR}"
        rf"|\d\d?[ -]?{_MONTH}[ -]?(?:{_YEAR}|\d\d)|{_MONTH} \d\d?,? {_YEAR}|{_MONTH}[ -]{_YEAR}"
        rf"|{_YEAR}年\d\d?月(?:\d\d?日)?)(?:[T ]+\d\d?:\d\d.*)?",
        digits=(4, 30),
        within=rf"[A-Za-z]{{2,}}(?:.*\W)?{_DAY}\b|(?:^|\W){_DAY}\b.*[A-Za-z]{{3,}}",
        advice=SHIFT,
        role=True,
    ),
    Kind(
        what="a place smaller than a state",
        named=r"\b(?:address|addr|street|zip|zip ?codes?|zip ?[345]|post(?:al)? ?codes?|postal|plz|city|town|village"
        r"|county|suburb|borough|municipality|precinct|parish|neighbou?rhood|census ?(?:tract|block)|geo ?codes?"
        r"|latitude|longitude)\b|^(?:gps ?)?(?:lat|lon|lng)$|地址|邮编",
        alike=r"\d{5}-\d{4}|[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}|[A-Z]\d[A-Z] \d[A-Z]\d"
        r"|\d+[A-Za-z]? .*(?i:\b(?:st|street|ave|avenue|rd|road|lane|ln|blvd|boulevard|drive|dr|court|ct|way)\b).*"
        r"|[^\d]*(?:stra(?:ß|ss)e|str\.|weg|platz|gasse) ?\d+.*",
    ),
    Kind(
        what="a health plan number",
        named=r"\b(?:insurance|insured|policy|health ?plan|plan|beneficiary|member|subscriber|medicare|medicaid)"
        rf"{_NUMBERED}\b|\b(?:hicn|mbi)\b|医保",
        shaped=r"(?:.*\d){3,}.*",
    ),
    Kind(
        what="an account number",
        named=rf"\b(?:account|acct|bank|invoice|billing|credit ?card|debit ?card){_NUMBERED}\b"
        r"|\biban\b|^(?:account|acct)$",
        shaped=r"(?:.*\d){3,}.*",
        alike=r"[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?|\d{4}(?:[ -]\d{4}){3}",
        within=r"(?i:\b(?:account|acct)\b\W{0,3}(?:no|nr|number)?\W{0,3}[A-Z]{0,3}\d{5,})",
        role=True,
    ),
    Kind(
        what="a vehicle identifier",
        named=rf"\b(?:vin|(?:licen[cs]e|number|registration) ?plates?|vehicle{_NUMBERED}"
        r"|car ?(?:plate|registration))\b",
        shaped=r".*\d.*",
        alike=r"[A-HJ-NPR-Z0-9]{3}[A-HJ-NPR-Z0-9]*[A-HJ-NPR-Z][A-HJ-NPR-Z0-9]{8,12}\d{4}",
        digits=(6, 16),
        role=True,
    ),
    Kind(
        what="a certificate or licence number",
        named=rf"\b(?:(?:driver'?s? ?)?licen[cs]e|certificate|passport|dea|npi|registration){_NUMBERED}\b"
        r"|\b(?:drivers? ?licen[cs]e|passport)\b",
        shaped=r"(?:.*\d){3,}.*",
    ),
    Kind(
        what="a device identifier",
        named=rf"\b(?:(?:device|serial|implant|pacemaker|handset){_NUMBERED}|serial|udi|imei|mac ?addr(?:ess)?)\b",
        shaped=r"(?:.*\d){3,}.*",
        alike=r"(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}|\(01\)\d{14}.*",
        role=True,
    ),
    Kind(
        what="a record number",
        named=rf"\b(?:mrn|pid|medical ?rec(?:ord)?s?|(?:record|rec|chart|hospital|hosp|admission|adm|hadm|encounter"
        rf"|accession|specimen|patient|pat|pt|subject|participant|respondent|person){_NUMBERED})\b"
        r"|病历号|住院号|门诊号",
        shaped=r".*\d.*",
        within=r"(?i:\b(?:mrn|medical record|hospital number|nhs number)\b\W{0,3}(?:no|nr|number|is)?\W{0,3}"
        r"[A-Z]{0,3}\d{4,})",
        role=True,
    ),
    Kind(
        what="a biometric identifier",
        named=r"\b(?:finger ?prints?|voice ?prints?|palm ?prints?|(?:iris|retinal?) ?(?:scan|code|template)"
        r"|face ?(?:id|embedding|encoding|template)|dna ?(?:sequence|profile)|biometrics?)\b",
    ),
    Kind(
        what="a photograph",
        named=r"\b(?:photos?|photo ?graphs?|selfie|portrait|mug ?shot|face ?(?:image|picture)|(?:profile|full ?face) ?"
        r"(?:image|picture))\b|照片",
    ),
    Kind(
        what="a person's name",
        named=r"\b(?:first|last|middle|maiden|given|family|full|sur|fore|nick|patient'?s?|pat|pt|person|contact|mother'?s?"
        r"|father'?s?|spouse|guardian|relative|employer|doctor|physician|provider|surgeon|nurse) ?names?\b"
        r"|\b(?:[flm] ?name|next ?of ?kin|patient|surname|forename|initials|physician|doctor|guardian|spouse|employer)$"
        r"|^names?$|姓名",
        shaped=r"[^\d]*[A-Za-zÀ-ÿ][^\d]*|[一-鿿·]{2,}",
        within=r"\b(?:Mr|Mrs|Ms|Miss|Dr|Prof)\.? [A-Z][a-z]{2,}|(?i:\bname\b) ?(?:is|:) ?[A-Z][a-z]+ [A-Z][a-z]+",
    ),
)
PEOPLE = rf"{_CAPITAL}(?:,? {_CAPITAL}){{1,3}}|[{_COMMON}][一-鿿]{{1,2}}"
AGES = r"\b(?:ages?|aged)\b|年龄"
YOUNG = r"\b(?:days?|weeks?|wks?|months?|mos?)\b"
CODED = r"(?:^| )(?:id|uid|uuid|guid|seqn|key|index|number|no|nr|code|identifier)$|编号"
