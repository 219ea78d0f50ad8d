"""Personal data never reaches the lake, in no place; what only resembles it stays."""

import hmac
import json
import re

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from orchestration import landing
from orchestration.landing.pii import SUSPECT, Redactor
from tests.unit.landing.conftest import event

KEY = b"a key for tests"

PERSONAL = {
    "email": ["a.user+tag@example.com", "USER@Sub.Example.co.uk", "user%40example.org"],
    "ip": ["192.0.2.44", "2001:db8::8a2e:370:7334", "::1", "::ffff:192.0.2.1", "fe80:0:0:0:0:0:0:1"],
    "phone": ["+1-202-555-0101", "+12025550101", "(202) 555-0101", "202-555-0101", "1.202.555.0101", "+91 98765 43210"],
    "card": ["4111 1111 1111 1111", "4111111111111111", "5500-0000-0000-0004", "378282246310005"],
}
HARMLESS = [
    "6b1f0c9e-1234-4123-8123-123456789012",
    "12345678-1234-4123-8123-123456789012",
    "1.2.3",
    "10.15.7-rc1",
    "2024.10.1234",
    "lodash@4.17.21",
    "12345.678901234",
    "0.4111111111111111",
    "1788000000000",
    "1788000000000000000",
    "2026-09-15T10:00:00.123Z",
    "2026-09-15 10:00:00+00:00",
    "2026-09-15",
    "10:00:00",
    "4111111111111112",
    "999.999.999.999",
    "std::vector",
    "00:1b:44:11:3a:b7",
    "job-2026-0001-5678",
    "2025550101",
    "/v1/accounts/42",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
]


# Other spellings of a value, and the one under which all of them are known.
ONE_SPELLING = {
    "user%40example.org": "user@example.org",
    "::ffff:192.0.2.1": "192.0.2.1",
    "fe80:0:0:0:0:0:0:1": "fe80::1",
    "+1-202-555-0101": "12025550101",
    "+12025550101": "12025550101",
    "(202) 555-0101": "2025550101",
    "202-555-0101": "2025550101",
    "1.202.555.0101": "12025550101",
    "+91 98765 43210": "919876543210",
    "4111 1111 1111 1111": "4111111111111111",
    "5500-0000-0000-0004": "5500000000000004",
}


def pseudonym(kind: str, value: str) -> str:
    spelled = ONE_SPELLING.get(value, value.strip().lower())
    return f"pii:{kind}:{hmac.digest(KEY, spelled.encode(), 'sha256').hex()[:32]}"


@pytest.mark.parametrize("spelled", sorted(set(ONE_SPELLING.values())))
def test_a_person_keeps_one_pseudonym_however_the_value_is_written(spelled):
    kind = next(kind for kind, values in PERSONAL.items() for value in values if ONE_SPELLING.get(value) == spelled)
    values = [value for value, one in ONE_SPELLING.items() if one == spelled]
    redactor = Redactor(KEY)
    assert {redactor.text(value) for value in values} == {pseudonym(kind, spelled)}


ALL_PERSONAL = [(kind, value) for kind, values in PERSONAL.items() for value in values]


@pytest.mark.parametrize(("kind", "value"), ALL_PERSONAL)
@pytest.mark.parametrize("frame", ["{}", "call {} now", '"{}"', "'{}'", "x={};", "({})", "<{}>"])
def test_what_looks_personal_is_replaced(kind, value, frame):
    assert Redactor(KEY).text(frame.format(value)) == frame.format(pseudonym(kind, value))


@pytest.mark.parametrize("value", HARMLESS)
def test_what_only_resembles_it_stays(value):
    redactor = Redactor(KEY)
    assert redactor.text(value) == value
    assert redactor.text(f"before {value} after") == f"before {value} after"
    assert redactor.record(json.dumps({"v": value}).encode()) == json.dumps({"v": value}).encode()
    assert not redactor.detections


@pytest.mark.parametrize("value", [value for _, value in ALL_PERSONAL])
@pytest.mark.parametrize("frame", ["{}", "see {}.", "a {} b"])
def test_the_cheap_look_misses_nothing_that_is_replaced(value, frame):
    text = json.dumps({"note": frame.format(value)}, separators=(",", ":"))
    assert pc.match_substring_regex(pa.array([text]), SUSPECT)[0].as_py()


@hypothesis_settings(max_examples=400, deadline=None)
@given(st.text(alphabet="0123456789abf:.-() +@%ex\\\"'/_", max_size=40))
def test_the_cheap_look_is_never_narrower(text):
    document = json.dumps({"note": text}, separators=(",", ":"))
    redactor = Redactor(KEY)
    redactor.json(document)
    if redactor.detections:
        assert pc.match_substring_regex(pa.array([document]), SUSPECT)[0].as_py()


def test_places_in_accepted_records(land_lines):
    mail = "user@example.com"
    rows = land_lines(
        event(dims={"user_email": " User@Example.com ", "nested": [{"note": f"by {mail}"}], "latency_ms": 12.5}),
        event(extra_note=mail, client={"Client-IP": "host-7", "name": "x"}),
        event(dims={mail: 1, "card": 4111111111111111, "phone_number": 2025550101}),
        event(payload=json.dumps({"full_name": "Role Name", "n": 1})),
        event(dims={"email": None, "ip": "", "first_name": {"given": "x"}}),
        event(account_id=mail, resource_id="192.0.2.1", event_id="4111111111111111"),
        json.dumps(event()).replace("}", ', "note": "user\\u0040example.com"}'),
    ).accepted
    p = pseudonym("email", mail)
    assert rows[0]["dims"] == f'{{"latency_ms":12.5,"nested":[{{"note":"by {p}"}}],"user_email":"{p}"}}'
    assert (
        rows[1]["extra"] == f'{{"client":{{"Client-IP":"{pseudonym("ip", "host-7")}","name":"x"}},"extra_note":"{p}"}}'
    )
    card, phone = pseudonym("card", "4111111111111111"), pseudonym("phone", "2025550101")
    assert json.loads(rows[2]["dims"]) == {p: 1, "card": card, "phone_number": phone}
    assert json.loads(json.loads(rows[3]["extra"])["payload"]) == {"full_name": pseudonym("name", "Role Name"), "n": 1}
    name = pseudonym("name", '{"given":"x"}')
    assert rows[4]["dims"] == f'{{"email":null,"first_name":"{name}","ip":""}}'
    assert (rows[5]["account_id"], rows[5]["resource_id"], rows[5]["event_id"]) == (
        mail,
        "192.0.2.1",
        "4111111111111111",
    )
    assert rows[6]["extra"] == f'{{"note":"{p}"}}'


def test_detections_are_counted_by_kind(land_lines):
    landed = land_lines(
        event(dims={"a": "x@example.com 192.0.2.1", "b": "y@example.com"}), event(quantity="x@example.com")
    )
    assert landed.result.pii_detections == {"email": 3, "ip": 1}


def test_rejected_records_are_masked_and_otherwise_byte_exact(land_lines):
    mail = "user@example.com"
    template = '{"event_id":"e", "user_name" : "%s","ip":"%s", "note":"%s 1.50", "ssn": %s,, "t":"2026-09-15T10:00:00Z"'
    raw = template % ('Role \\"R\\" Name', "x", mail, "123456789")
    [row] = land_lines(raw.encode() + b"\xff").rejected
    name, ip, ssn = pseudonym("name", 'Role "R" Name'), pseudonym("ip", "x"), pseudonym("ssn", "123456789")
    expected = template % (name, ip, pseudonym("email", mail), f'"{ssn}"')
    assert row["record"] == expected.encode() + b"\xff"


def test_details_and_readable_fields_of_rejected_records_are_masked(land_lines):
    [row] = land_lines(event(quantity="user@example.com", producer="user@example.com")).rejected
    assert "user@" not in row["detail"] + row["producer"]


def test_csv_cells_are_masked_by_their_header(land, tmp_path):
    dump = tmp_path / "dump.csv"
    dump.write_text(
        "event_id,producer,event_ts,metric,quantity,unit,user_name,dims\n"
        'e1,p,2026-09-15T10:00:00Z,m,1,u,Role Name,"{""email"":""x""}"\n'
        'e2,p,2026-09-15T10:00:00Z,m,x,u,"Role, Name","{""email"":""x""}"\n'
        "e3,p,2026-09-15T10:00:00Z,m,1,u,Role Name\n"
        'e4,p,2026-09-15T10:00:00Z,m,1,u,Role Name,"{}"broken\n'
    )
    landed = land(dump)
    name, mail = pseudonym("name", "Role Name"), pseudonym("email", "x")
    assert landed.accepted[0]["extra"] == f'{{"user_name":"{name}"}}'
    assert landed.accepted[0]["dims"] == f'{{"email":"{mail}"}}'
    records = [row["record"].decode() for row in landed.rejected]
    assert records[0] == f'e2,p,2026-09-15T10:00:00Z,m,x,u,{pseudonym("name", "Role, Name")},"{{""email"":""{mail}""}}"'
    assert all("Role" not in record for record in records)


def test_nothing_personal_stands_in_any_byte_of_the_lake(land, tmp_path, settings):
    table = pa.table(
        {
            "event_id": ["e1", "e2"],
            "producer": ["p", "p"],
            "event_ts": ["2026-09-15T10:00:00Z", "never"],
            "metric": ["m", "m"],
            "quantity": ["1", "1"],
            "unit": ["u", "u"],
            "user_email": ["mine@example.com", "yours@example.com"],
            "dims": [{"from": "198.51.100.7"}, {"from": "198.51.100.8"}],
        }
    )
    pq.write_table(table, tmp_path / "dump.parquet")
    landed = land(tmp_path / "dump.parquet")
    text = json.dumps([str(row) for row in landed.accepted + landed.rejected])
    assert not re.search(r"@example|198\.51", text)
    assert landed.result.pii_detections == {"email": 2, "ip": 2}


def test_a_pseudonym_is_not_replaced_again():
    redactor = Redactor(KEY)
    once = redactor.json('{"email":"x@example.com","note":"192.0.2.1"}')
    assert redactor.json(once) == once


def test_other_keys_give_other_pseudonyms():
    assert Redactor(b"one").text("x@example.com") != Redactor(b"two").text("x@example.com")


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
@pytest.mark.parametrize("in_csv", [False, True])
def test_a_declared_field_is_masked_in_rejected_bytes_however_deep_its_json_lies(depth, in_csv):
    record = json.dumps({"full_name": 'Role "R" Name', "ssn": 123456789, "first_name": {"given": "Rolina"}, "n": 1})
    for _ in range(depth):
        record = json.dumps({"payload": record})
    if in_csv:
        record = '"' + record.replace('"', '""') + '"'
    masked = Redactor(KEY).record(record.encode()).decode()
    assert not re.search("Role|Name|123456789|Rolina", masked)
    assert masked.count("pii:name:") == 2 and masked.count("pii:ssn:") == 1
    assert re.search(r'\\*"{1,2}n\\*"{1,2}: 1}', masked), "and nothing else"


@pytest.mark.parametrize(
    "cut", ['{"full_name": "Role Na', '{"payload": "{\\"full_name\\": \\"Role Na', '{"full_name": {"given": "Role']
)
def test_a_declared_field_is_masked_where_the_record_is_cut_off(cut):
    masked = Redactor(KEY).record(cut.encode()).decode()
    assert "Role" not in masked and "pii:name:" in masked


@pytest.mark.parametrize(
    "written",
    [
        json.dumps("quentin@example.com").replace("@", "\\u0040"),
        '"' + "".join(f"\\u{ord(letter):04x}" for letter in "quentin@example.com") + '"',
        json.dumps(json.dumps({"to": "quentin\uff20example.com"})),
        json.dumps(json.dumps({"to": "quentin@example.com"})).replace("u", "\\\\u0075"),
    ],
)
def test_escapes_hide_nobody_in_a_rejected_record(written):
    record = f'{{"note": {written}, "broken": '.encode()
    redacted = Redactor(KEY).record(record)
    assert pseudonym("email", "quentin@example.com") in redacted.decode()
    assert "quentin" not in re.sub(r"\\+u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), redacted.decode())


def test_escapes_that_hide_nobody_stay_as_they_are():
    record = b'{"name": "caf\\u00e9 \\u0022 \\ud83d\\ude00", "to": "a@example.com", '
    assert Redactor(KEY).record(record) == record.replace(
        b"a@example.com", pseudonym("email", "a@example.com").encode()
    )


def test_bytes_that_are_no_utf8_are_part_of_an_address():
    redacted = Redactor(KEY).record("josé.planted@example.com;".encode("latin-1"))
    assert re.fullmatch(rb"pii:email:[0-9a-f]{32};", redacted)


def test_an_address_in_an_identifier_is_replaced_and_two_identifiers_stay_two():
    redactor = Redactor(KEY)
    one, other = redactor.identifier("evt-u@example.com-1"), redactor.identifier("evt-U@example.com-1")
    assert one == redactor.identifier("evt-u@example.com-1") != other
    assert one.startswith(shared := pseudonym("email", "evt-u@example.com")) and other.startswith(shared)
    assert redactor.detections == {"email": 3}
    for kept in ("203.0.113.7", "4111 1111 1111 1111", "+1-202-555-0101", "redis@7", "@SUM(A1)"):
        assert redactor.identifier(kept) == kept


def test_an_address_as_an_identifier_reaches_the_lake_as_a_pseudonym_and_counts_as_before(land_lines):
    mail = "user@example.com"
    rows = land_lines(
        event(event_id=mail, producer=mail, metric=mail, unit=mail, sku=mail, region=mail),
        event(event_id="e2", producer=mail, corrects=mail, correction="retract", account_id=mail, api_key=mail),
    ).accepted
    shown = pseudonym("email", mail)
    assert [(row["event_id"], row["producer"]) for row in rows] == [(shown, shown), ("e2", shown)]
    assert {rows[0][name] for name in ("metric", "unit", "sku", "region")} == {rows[1]["corrects"]} == {shown}
    assert (rows[1]["account_id"], rows[1]["api_key"]) == (mail, mail)  # reference tables must match them


def test_an_address_in_a_files_name_or_a_reference_files_fault_is_not_recorded(settings, tmp_path):
    mail = "user@example.com"
    folder = tmp_path / mail
    folder.mkdir()
    (folder / f"{mail}.jsonl").write_text(json.dumps(event()))
    (folder / f"{mail}.txt").touch()
    (folder / "units.csv").write_text(f"unit,base_unit,factor\nGB,byte,{mail}\n")
    result = landing.land(settings, [tmp_path / mail, tmp_path])
    [manifest] = landing.manifests(settings)
    assert mail not in json.dumps(manifest) + str(result)
    assert [file.file_name for file in result.files] == [f"{pseudonym('email', mail)}.jsonl"]
    assert pseudonym("email", mail) in result.refused_references[0].faults[0]
