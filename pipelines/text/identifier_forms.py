"""The forms of identifiers in running text, in English with some Chinese; the group `it` is what names the person.

Every repetition is bounded or begins at an edge, so that the time grows with the length of a text and no faster.
"""

_YEAR, _M, _D = r"(?:19|20)\d\d", r"(?:0?[1-9]|1[0-2])", r"(?:0?[1-9]|[12]\d|3[01])"
_MONTHS = (
    "January|February|March|April|May|June|July|August|September|October|November|December"
    "|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept|Sep|Oct|Nov|Dec"
)
_MONTH = rf"(?:{_MONTHS}|{_MONTHS.upper()})\b\.?"
_ALONE, _ENDS = r"(?<![\w./-])", r"(?![\w/-]|\.\d)"  # no piece of a longer number
_DAY_MONTH = rf"(?=(?:{_M}\D{_D}|{_D}\D{_M})\D)"
_NTH = rf"{_D}(?:st|nd|rd|th)?"

_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"

_STATE = (
    "A[LKZR]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|RI|S[CD]|T[NX]|UT|V[AT]|W[AIVY]"
    "|Ala(?:bama|ska)|Ari(?:zona)|Arkansas|California|Colorado|Connecticut|Delaware|Florida|Georgia|Hawaii|Idaho|Illinois"
    "|Indiana|Iowa|Kansas|Kentucky|Louisiana|Maine|Maryland|Massachusetts|Michigan|Minnesota|Mississippi|Missouri|Montana"
    "|Nebraska|Nevada|New (?:Hampshire|Jersey|Mexico|York)|(?:North|South) (?:Carolina|Dakota)|Ohio|Oklahoma|Oregon"
    "|Pennsylvania|Rhode Island|Tennessee|Texas|Utah|Vermont|(?:West )?Virginia|Washington|Wisconsin|Wyoming"
)
_STREET = "Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Boulevard|Blvd|Drive|Dr|Court|Ct|Place|Way|Parkway|Highway|Hwy|Square"

_SEP = r"[\s.:#]{0,4}"
_NO = r"(?:no|number|nr|num|id|identifier)\b"
_NUMBER = rf"(?P<it>(?!{_YEAR}\b)[A-Z]{{0,4}}-?\d{{3,20}}[A-Z\d-]{{0,20}})"
_KNOWN_BY = r"mrn|pid|nhs|nhs number|acct|account|accession|passport|medical record|hospital number"
_NUMBERED = (
    r"record|chart|case|file|patient|pt|hospital|clinic|admission|encounter|visit|specimen|insurance|policy|plan|member"
    r"|subscriber|medicare|medicaid|licen[cs]e|certificate|serial|device|implant|pacemaker|prescription|invoice|report"
)

# Words that follow a title, or the end of a sentence that looks like one, without being a name.
_NONE = (
    r"(?!(?i:the|this|that|there|these|those|it|he|she|they|we|no|not|none|is|are|was|were|has|had|have|will|on|in|at|to"
    r"|of|for|from|by|with|and|or|but|if|as|an|a|all|ct|mri|md|phd|rn|unknown|patient|office|x{2,})\b)"
)
_CAPITAL = r"[A-ZÀ-ÖØ-Þ]"
_PROPER = rf"{_CAPITAL}(?:['’]{_CAPITAL})?[a-zß-öø-ÿ]+(?:{_CAPITAL}[a-zß-öø-ÿ]+)?(?:-{_CAPITAL}[a-zß-öø-ÿ]+)?"
_NAME = rf"(?:{_NONE}(?:{_PROPER}|{_CAPITAL}[A-ZÀ-ÖØ-Þ'’-]+)\b|{_CAPITAL}\b\.?)"
_OF = r"(?:(?:van|von|de|der|den|del|di|da|la|le|bin|al) ){0,2}"
_NEXT = rf"(?: {{1,2}}{_OF}{_NAME})"
_FULL = rf"(?P<it>{_OF}{_NAME}(?:, ?{_NAME})?{_NEXT}{{1,3}}|{_NAME}, ?{_NAME})"
_SOME = rf"(?P<it>{_OF}{_NAME}(?:, ?{_NAME})?{_NEXT}{{0,3}})"

FORMS = (
    ("e-mail", r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"),
    ("web address", r"\b(?:(?:https?|ftp)://|www\.[\w-]{1,63}\.)[^\s<>\"']{0,2000}[\w/]"),
    ("social security number", r"(?<![\d-])(?!000|666|9)\d{3}-(?!00)\d\d-(?!0000)\d{4}(?![\d-])"),
    (
        "social security number",
        r"(?i:\b(?:ssn|social security)\b\W{0,3}(?:(?:no|number|is)\b\W{0,3})?)(?P<it>\d{3}[- ]?\d\d[- ]?\d{4})\b",
    ),
    (
        "social security number",
        rf"(?<!\d)[1-9]\d{{5}}{_YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{{3}}[\dXx](?!\d)",
    ),
    ("record number", rf"\b(?i:{_KNOWN_BY})\b{_SEP}(?:(?i:{_NO}|is\b){_SEP}){{0,2}}{_NUMBER}"),
    ("record number", rf"\b(?i:{_NUMBERED})\b ?(?:(?i:{_NO})|#){_SEP}(?i:is )?{_NUMBER}"),
    (
        "telephone number",
        r"(?<![\d.+-])(?:\+?1[ .-]?)?"
        r"(?:\([2-9]\d\d\) ?\d{3}[-. ]|[2-9]\d\d-\d{3}-|[2-9]\d\d\.\d{3}\.)\d{4}(?![\d-])",
    ),
    ("telephone number", r"(?<![\w+])\+(?=(?:[ .()-]{0,2}\d){8})[1-9]\d{0,2}(?:[ .()-]{0,2}\d{1,5}){2,6}"),
    (
        "telephone number",
        r"(?i:\b(?:tele)?(?:phone|fax)s?|\btel|\bpager|\bmobile|\bcell|\bcall|\bbeeper|电话|手机)\b[^\w\n]{0,4}"
        r"(?:(?i:no|number|nr|at|is)\b[^\w\n]{0,3}){0,2}(?P<it>(?=(?:[ ().-]{0,2}\d){7})\+?\(?\d[\d ().-]{5,18}\d)",
    ),
    ("telephone number", r"(?<![\d.])1[3-9]\d{9}(?![\d.])"),
    ("network address", rf"(?<![\w.])(?=[\d.]{{0,11}}\d\d)(?:{_OCTET}\.){{3}}{_OCTET}(?!\w|\.\d)"),
    ("network address", r"(?<![\w:])(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}(?![\w:])"),
    ("network address", r"(?<![\w:-])(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}(?![\w:-])"),
    ("date", rf"{_ALONE}{_YEAR}([-/.]){_M}\1{_D}(?:[T ]\d\d:\d\d(?::\d\d)?)?{_ENDS}"),
    ("date", rf"{_ALONE}{_DAY_MONTH}\d\d?([-/.])\d\d?\1{_YEAR}{_ENDS}"),
    ("date", rf"{_ALONE}{_DAY_MONTH}(?:\d\d?/\d\d?/\d\d|\d\d([-.])\d\d\1\d\d){_ENDS}"),
    ("date", rf"\b{_MONTH} {{0,2}}{_NTH}\b(?!\.\d)(?:,? {{0,2}}(?:{_YEAR}|['’]\d\d)\b)?"),
    ("date", rf"(?<![\w.])(?:{_NTH}(?: of)?[ -])?{_MONTH}(?:,? (?:of )?|-){_YEAR}\b"),
    ("date", rf"(?<![\w.]){_NTH}(?: of)?[ -]{_MONTH}(?!\w)(?:-\d\d\b)?"),
    ("date", r"\d{4}年\d\d?月(?:\d\d?[日号])?"),
    (
        "age over 89",
        r"(?<![\w.])(?P<it>9\d|1[0-2]\d)[ -]{0,2}"
        r"(?i:(?:years?|yrs?|y)[ -]{0,2}(?:old|of age)|y/?o[mf]?|y\.o\.?)(?!\w)",
    ),
    ("age over 89", r"(?i:\bage(?:d| is)?)[: ]{1,2}(?P<it>9\d|1[0-2]\d)\b(?! {0,2}(?:%|mo|we|da|[dwm]\b))"),
    ("place", rf"\b(?:{_STATE})\b,? {{1,2}}(?P<it>\d{{5}}(?:-\d{{4}})?)(?![\w-]|\.\d)"),
    ("place", r"(?i:\bzip(?: ?code)?\b)[: ]{1,3}(?P<it>\d{5}(?:-\d{4})?)\b"),
    ("place", rf"(?<![\w.])\d{{1,5}} (?:[NSEW]\.? )?(?:{_PROPER} ){{1,3}}(?:{_STREET})\b\.?"),
    (
        "name",
        r"\b(?:(?:Dr|Mr|Mrs|Ms|Mx|Prof)\b\.?|(?:Professor|Doctor|Miss)\b|(?:DR|MRS|PROF)\.) {1,2}"
        rf"(?P<it>{_OF}{_NAME}{_NEXT}{{0,2}})",
    ),
    ("name", rf"\bM[RS]\. {{1,2}}(?P<it>{_NONE}[A-ZÀ-ÖØ-Þ'’-]{{3,}}\b)"),
    ("name", rf"\b(?:dr|mr|mrs|prof)\. {{1,2}}(?P<it>{_NONE}[a-zß-öø-ÿ'’-]{{2,}})"),
    (
        "name",
        r"(?i:\b(?:patient|pt|full|first|last|sur|family|given|maiden|physician|doctor|provider|surgeon|mother|father|spouse"
        rf"|guardian|nurse)(?:['’]s)? ?name\b(?: is)?)[:= ]{{1,4}}{_SOME}",
    ),
    (
        "name",
        r"(?i:\b(?:signed|dictated|transcribed|authenticated|verified|reported|interpreted|read|reviewed|approved|entered"
        rf"|attested|prepared) by)[: ]{{1,3}}{_FULL}",
    ),
    (
        "name",
        r"(?i:\b(?:name|patient|physician|doctor|provider|radiologist|surgeon|attending|technologist|nurse|pcp|cc|attn"
        rf"|next of kin|contact):) {{0,3}}{_FULL}",
    ),
    ("name", rf"\b(?P<it>{_NAME}{_NEXT}{{1,2}}),? (?:M\.?D|R\.?N|Ph\.?D|MBBS|FRC[RPS]|FACR|D\.O|PA-C)\b"),
    ("name", r"姓名[:： ]{1,2}(?P<it>[一-鿿·]{2,4})"),
)
