use super::*;

const A: &str = "2cffb55c-120e-91a8-8f10-ed9d1b412d29";
const B: &str = "be123b02-dacf-31f9-b3e5-50b18260bc23";

/// Reads a file in which `A` and `B` stand for two UUIDs.
fn read(text: &str) -> Result<Input, String> {
    of(text.replace('A', A).replace('B', B).as_bytes())
}

fn of(bytes: &[u8]) -> Result<Input, String> {
    Input::of(bytes.to_vec(), &Defaults::default(), None)
}

fn requests(text: &str) -> Vec<SmsConnectorRequest> {
    read(text).unwrap().rows().collect()
}

/// Asserts that a file cannot be used, and that the report contains all parts.
fn assert_report(text: &str, parts: &[&str]) {
    assert_parts(&read(text).err().unwrap(), parts);
}

fn assert_parts(report: &str, parts: &[&str]) {
    for part in parts {
        assert!(report.contains(part), "no {part:?} in {report}");
    }
}

fn x_and_a() -> [SmsConnectorRequest; 1] {
    [SmsConnectorRequest::new("x", A.parse().unwrap())]
}

#[test]
fn each_row_becomes_a_request() {
    let expected = [
        SmsConnectorRequest::new("Sales, Rotterdam", A.parse().unwrap())
            .with_use_case_id(B.parse::<UseCaseId>().unwrap())
            .with_channel_message_type(ChannelMessageType::Promotional)
            .with_conversational(true),
        SmsConnectorRequest::new(" other", B.parse().unwrap()),
    ];
    for text in [
        "name,phone_number_id,use_case_id,channel_message_type,conversational\n\
         \"Sales, Rotterdam\",A,B,promotional,true\n other,B,,,\n",
        "name;phoneNumberId;useCaseId;channelMessageType;conversational\n\
         Sales, Rotterdam;A; B ;promotional;TRUE\n other;B;;;\n",
        r#"
{"name":"Sales, Rotterdam","phone_number_id":"A","use_case_id":"B","channel_message_type":"promotional","conversational":true}

{"phoneNumberId":"B","name":" other","useCaseId":null,"conversational":null}"#,
    ] {
        assert_eq!(requests(text), expected, "{text}");
    }
}

// Fault 87 in docs/reliability.md.
#[test]
fn tables_from_spreadsheets_are_read() {
    for text in [
        "\u{feff}name,phone_number_id\r\nx,A\r\n",
        "phone_number_id,name\nA,x",
        "name,phone_number_id\rx,A\r",
        "\"name\",phone_number_id\n\nx, A \n\n",
        "sep=;\r\nname;phone_number_id\r\nx;A\r\n",
        "\u{feff}\"sep=\t\"\nname\tphone_number_id\nx\tA\n",
        "name,phone_number_id,,\nx,A,,\n,,,\n , ,,\n",
        "name,phone_number_id\n,\nx,A,,\n",
        "name,,phone_number_id\nx,,A\n",
        ",,\nname,phone_number_id,\nx,A\n",
        "\u{feff}{\"name\":\"x\",\"phone_number_id\":\"A\"}\r\n",
    ] {
        assert_eq!(requests(text), x_and_a(), "{text:?}");
    }
    assert_eq!(requests("name,phone_number_id\n"), []);
    for (text, expected) in [("TRUE", true), ("tRUE ", true), ("False", false)] {
        let rows = requests(&format!("name,phone_number_id,conversational\nx,A,{text}\n"));
        assert_eq!(rows[0].conversational(), Some(expected));
    }
    assert_report("[{\"name\":\"x\"}]", &["is a JSON array; write one object per line"]);
    assert_report(
        "name,,phone_number_id\nx,y,A\n",
        &["line 2: a value is in a column without a name"],
    );
    assert_report("name,phone_number_id\nx,A,y\n", &["line 2: expected 2 columns"]);
}

#[test]
fn the_separator_is_taken_from_the_header() {
    for (header, expected) in [
        ("", b','),
        ("name", b','),
        ("a;b,c", b','),
        ("a;b;c,d\n,,,", b';'),
        ("\r\na;b;c,d\n,,,", b';'),
        ("\"a,,,\"\tb", b'\t'),
        ("\"a\n,,\";b", b';'),
        ("sep=|\na,b", b'|'),
        ("sep=\na;b", b','),
    ] {
        assert_eq!(separator(header.as_bytes()).0, expected, "{header:?}");
    }
}

#[test]
fn a_wrong_header_is_the_only_problem_reported() {
    for (header, problem) in [
        ("\r\n\r\nx", "line 3: the header has the unknown column \"x\""),
        ("phone_number_id", "the header has no column `name`"),
        ("name", "the header has neither `phone_number_id` nor `phone_number`"),
        ("name,phone_number_id,name", "the column name twice"),
        ("name,phone_number_id,phoneNumberId", "the column phone_number_id twice"),
        ("Name;Phone Number Id", "\"Name\"; did you mean name?; the header has the unknown"),
        (
            "name|phone_number_id",
            "unknown column \"name|phone_number_id\"; separate the columns by `,`, `;` or tab",
        ),
    ] {
        assert_report(&format!("{header}\nx,y\n"), &[problem]);
    }
    for text in ["", "\n", "\u{feff}\r\n"] {
        assert_report(text, &["the file is empty; a table needs a header"]);
    }
    let report = of(b"\xff\n").err().unwrap();
    assert_eq!(report, "line 1: the header is not UTF-8; save the file as `CSV UTF-8`");
}

#[test]
fn an_unknown_column_or_field_hints_at_known_names() {
    let known =
        "s are name,phone_number_id,phone_number,use_case_id,channel_message_type,conversational";
    let long = "x".repeat(1024 * 1024);
    for (name, shown, hint) in [
        ("phone-number-id", "phone-number-id", "did you mean phone_number_id?"),
        ("usecaseId", "usecaseId", "did you mean use_case_id?"),
        ("note", "note", known),
        ("phone-number", "phone-number", "did you mean phone_number?"),
        (&long, &"x".repeat(40), known),
    ] {
        for (kind, input) in [
            ("header has the unknown column", format!("{name},x\n")),
            ("row has the unknown field", format!("{{\"{name}\":1}}\n")),
        ] {
            assert_report(&input, &[&format!("the {kind} {shown:?}; "), hint]);
        }
    }
}

#[test]
fn every_bad_row_is_reported_with_its_line_and_all_its_problems() {
    assert_report(
        "name,phone_number_id,use_case_id,conversational\n\
         ok,A,,\n,B,,\nx,nonsense,y,maybe\nagain,A,,\nx,B,,perhaps\nshort,B\n",
        &[
            "5 rows of 6 cannot be used",
            "line 3: the name is empty",
            "line 4: the phone number id",
            "; the use case id",
            "; conversational is neither",
            "line 5: the phone number id is already used on line 2",
            "line 6: conversational is neither",
            "line 7: expected 4 columns, as in the header; found 2",
        ],
    );
    assert_report(
        r#"{"name":"","phone_number_id":"A"}
{"nam":1}
{"name":"x"}
nonsense
{"name":5,"phone_number_id":"A"}
{"name":"x","phone_number_id":["A"]}
{"name":"x","phone_number_id":"A","conversational":1}
{"name":"x","phone_number_id":"A","phoneNumberId":"A"}
{"name":"x"#,
        &[
            "9 rows of 9",
            "line 1: the name is empty",
            "line 2: the row has the unknown field \"nam\"",
            "line 3: the phone number id is empty",
            "line 4: invalid JSON: expected",
            "line 5: the field name is not a string",
            "line 6: the field phone_number_id is not a string",
            "line 7: conversational is neither true nor false",
            "line 8: invalid JSON: duplicate field `phone_number_id`",
            "line 9: invalid JSON: EOF while parsing a string",
        ],
    );
}

#[test]
fn line_numbers_are_right_for_every_line_ending() {
    for (start, line) in [("", 2), ("ok,A\n", 3), ("\n\n", 4), ("ok,A\n\n\"a\nb\",B\n\n", 7)] {
        for end in ["\n", "\r\n", "\r"] {
            for sep in ["", "sep=,\n"] {
                let text = format!("{sep}name,phone_number_id\n{start}bad,x\nworse,x\n");
                let line = line + u32::from(!sep.is_empty());
                let lines = [line, line + 1].map(|line| format!("\n  line {line}: the phone"));
                assert_report(&text.replace('\n', end), &lines.each_ref().map(String::as_str));
            }
        }
    }
}

#[test]
fn an_unclosed_quote_is_reported_on_the_line_of_its_row() {
    for text in [
        "name,phone_number_id\n\"x,A\ny,B\n",
        "phone_number_id,name\nA,\"x\nB,y\n",
        "phone_number_id,name\nA,\"x \"\"y\"\"\nB,z\n",
    ] {
        assert_report(text, &["1 row of 1 cannot be used", "line 2: a quote is not closed"]);
    }
    assert_eq!(requests("phone_number_id,name\nA,\"1\"\"\n2\"\n")[0].name(), "1\"\n2");
}

#[test]
fn a_row_that_is_not_utf8_is_reported() {
    let report = of(b"name,phone_number_id\n\xff,x\nok,y\n").err().unwrap();
    assert_parts(&report, &["2 rows of 2", "line 2: the column name is not UTF-8"]);
}

#[test]
fn a_report_shows_the_first_fifty_bad_rows() {
    let report = read(&format!("name,phone_number_id\n{}", "x,y\n".repeat(60))).err().unwrap();
    assert_parts(&report, &["60 rows of 60", "line 51: ", "… and 10 more"]);
    assert!(!report.contains("line 52"), "{report}");
}

#[cfg(unix)]
#[test]
fn an_endless_input_is_refused() {
    let error = Input::check(Path::new("/dev/zero"), &Defaults::default()).err().unwrap();
    assert_eq!(error.to_string(), "it is longer than 256 MiB");
}

#[test]
#[cfg(unix)]
fn rows_can_come_from_a_pipe_but_not_from_a_directory() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let path = fifo.clone();
    let writer = std::thread::spawn(move || std::fs::write(path, "name,phone_number_id\n"));
    assert_eq!(Input::check(&fifo, &Defaults::default()).unwrap().unwrap().len(), 0);
    writer.join().unwrap().unwrap();
    let error = Input::check(folder.path(), &Defaults::default()).err().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
}

#[test]
fn a_phone_number_is_replaced_by_its_only_id() {
    let a = A.parse().unwrap();
    let b = B.parse().unwrap();
    let mut numbers =
        ByNumber::from([("31612".to_owned(), vec![a]), ("316123".to_owned(), vec![b])]);
    let text = "name,phone_number,phone_number_id\nx, +31612 ,\n";
    let input = read(text).unwrap();
    assert!(input.is_unresolved());
    let resolved = input.resolve(&numbers).unwrap();
    assert!(!resolved.is_unresolved());
    assert_eq!(*resolved.rows, [(2, SmsConnectorRequest::new("x", a))]);
    let json =
        "{\"name\":\"x\",\"phoneNumber\":\"+3161\"}\n{\"name\":\"y\",\"phone_number\":\"+31612\"}";
    let report = read(json).unwrap().resolve(&numbers).err().unwrap();
    assert_parts(
        &report,
        &[
            "1 row of 2",
            "line 1: the workspace has no long code number +3161; it has +31612, +316123",
        ],
    );
    numbers.insert("31612".to_owned(), vec![a, b]);
    let report = read(text).unwrap().resolve(&numbers).err().unwrap();
    assert_parts(&report, &["line 2: the number +31612 has several ids; give one of ", A, B]);
    // Another row has the id of the same phone number.
    numbers.insert("31612".to_owned(), vec![a]);
    let twice = read("name,phone_number,phone_number_id\nx,+31612,\ny,,A\n").unwrap();
    assert_parts(
        &twice.resolve(&numbers).err().unwrap(),
        &["line 3: the phone number id is already used on line 2"],
    );
    assert_report(
        "name,phone_number\nx,+31612\ny,+31612\n",
        &["line 3: the phone number id is already used on line 2"],
    );
    assert_report(
        "name,phone_number\nx,31612\n",
        &["phone_number is not a phone number such as +31612345678"],
    );
    assert_report("name,phone_number,phone_number_id\nx,+31612,A\n", &["are both given"]);
}

#[test]
fn rows_without_a_value_get_the_default() {
    let defaults = Defaults {
        use_case_id: Some(B.parse().unwrap()),
        channel_message_type: Some(ChannelMessageType::Promotional),
        conversational: Some(true),
    };
    let text = format!(
        "name,phone_number_id,use_case_id,channel_message_type,conversational\nx,{A},,,\ny,{B},{A},other,false\n"
    );
    let input = Input::of(text.into_bytes(), &defaults, None).unwrap();
    let expected = [
        SmsConnectorRequest::new("x", A.parse().unwrap())
            .with_use_case_id(B.parse::<UseCaseId>().unwrap())
            .with_channel_message_type(ChannelMessageType::Promotional)
            .with_conversational(true),
        SmsConnectorRequest::new("y", B.parse().unwrap())
            .with_use_case_id(A.parse::<UseCaseId>().unwrap())
            .with_channel_message_type(ChannelMessageType::from("other"))
            .with_conversational(false),
    ];
    assert_eq!(input.rows.iter().map(|(_, request)| request.clone()).collect::<Vec<_>>(), expected);
}
