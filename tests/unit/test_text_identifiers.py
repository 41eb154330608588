"""Identifiers inside texts: what its form betrays is found and taken out, clinical words are left."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.text.identifiers import find_identifiers, redacted

FOUND = [
    ("write to ada.l@mail.org please", "e-mail", "ada.l@mail.org"),
    ("see https://x.org/p?id=3 for it", "web address", "https://x.org/p?id=3"),
    ("from 10.0.0.1 today", "network address", "10.0.0.1"),
    ("SSN: 123-45-6789", "social security number", "123-45-6789"),
    ("call 555-123-4567", "telephone number", "555-123-4567"),
    ("(555) 234-4567", "telephone number", "(555) 234-4567"),
    ("Fax no. 030 1234567", "telephone number", "030 1234567"),
    ("reach +49 30 1234567 at night", "telephone number", "+49 30 1234567"),
    ("电话：13812345678", "telephone number", "13812345678"),
    ("MRN 1234567", "record number", "1234567"),
    ("medical record no: AB12345", "record number", "AB12345"),
    ("Case # 4711", "record number", "4711"),
    ("patient ID is 20711", "record number", "20711"),
    ("on 03/04/2020 at home", "date", "03/04/2020"),
    ("on 31.12.1999.", "date", "31.12.1999"),
    ("on 3/15/20", "date", "3/15/20"),
    ("2020-01-02T10:30", "date", "2020-01-02T10:30"),
    ("born March 3rd, 1950", "date", "March 3rd, 1950"),
    ("03-Mar-2020", "date", "03-Mar-2020"),
    ("the 3rd of May", "date", "3rd of May"),
    ("in October 2019", "date", "October 2019"),
    ("2020年3月4日", "date", "2020年3月4日"),
    ("a 92-year-old man", "age over 89", "92"),
    ("103 yo female", "age over 89", "103"),
    ("95yof", "age over 89", "95"),
    ("aged 90.", "age over 89", "90"),
    ("Boston, MA 02139", "place", "02139"),
    ("lives at 12 Old Mill Road", "place", "12 Old Mill Road"),
    ("seen by Dr. Smith today", "name", "Smith"),
    ("Mr John O'Brien was", "name", "John O'Brien"),
    ("DR. SMITH", "name", "SMITH"),
    ("dr. smith said", "name", "smith"),
    ("Dr. van der Berg", "name", "van der Berg"),
    ("Patient name: Smith, John", "name", "Smith, John"),
    ("Electronically signed by: Jane Q. Doe", "name", "Jane Q. Doe"),
    ("read by Jane Doe, M.D.", "name", "Jane Doe"),
    ("Jane Doe, MD", "name", "Jane Doe"),
]
CLINICAL = [
    "The cardiac silhouette is normal. No pneumothorax, 98% on 6 liters.",
    "Compared with 2019 and 2020, T1 2.5/3 cm, ratio of 16.2/24.7, BP 120/80, pain 3/10.",
    "ICD 786.50, V72.82, 305.1; dose 1200 mg 3-4 times, L1-2 and L4/5, 8-12 weeks",
    "a 45-year-old man, aged 50, age 95 days, 90% of age 120 months",
    "MR. No change on MR. CT of the chest. MS Contin, DR. The lungs are clear.",
    "Dr. XXXX was notified at XXXX on XXXX. XXXX-year-old. MRN XXXX. Mrs. XXX",
    "Reviewed by Radiology. Dictated by the resident. Patient: improving. Visit 2 of 3, case no. 4",
    "It may 2 days later march on; version 1.2.3.4, section 3.2.10",
    "NDC 10002-8215-01, platelets 250000, hemoglobin 13.5, sodium 140",
    "Chest radiograph, PA and lateral views. Foley catheter, Dobhoff tube, Parkinson disease.",
]


@pytest.mark.parametrize(("text", "kind", "piece"), FOUND)
def test_what_its_form_betrays_is_found(text: str, kind: str, piece: str) -> None:
    assert [(k, text[a:b]) for k, a, b in find_identifiers(text)] == [(kind, piece)]
    assert redacted(text) == text.replace(piece, f"[{kind}]")


@pytest.mark.parametrize("text", CLINICAL)
def test_clinical_words_and_numbers_are_left(text: str) -> None:
    assert find_identifiers(text) == []


@given(st.lists(st.sampled_from([text for text, _, _ in FOUND] + CLINICAL), max_size=6).map(". ".join))
def test_redacting_twice_is_redacting_once(text: str) -> None:
    assert redacted(redacted(text)) == redacted(text)


@given(st.text(alphabet="aA1 .,-/@:()+#X[]\n", max_size=60))
def test_finds_are_in_order_within_the_text_and_apart(text: str) -> None:
    edges = [edge for _, start, end in find_identifiers(text) for edge in (start, end)]
    assert edges == sorted(edges)
    assert all(0 <= edge <= len(text) for edge in edges)


@pytest.mark.parametrize("part", ["a", "1", "1.", "a@", "A ", "Dr. ", "+1 ", "tel ", "Patient Name: ", "3/4/20 "])
def test_the_time_grows_with_the_text_and_no_faster(part: str) -> None:
    begun = time.perf_counter()
    find_identifiers(part * (20_000 // len(part)))
    assert time.perf_counter() - begun < 5
