//! Functions other than `printf` and `timestamp`.

use super::{refuses, render, renders};

#[test]
fn and_or_and_not_work_on_truth_and_give_back_the_deciding_value() {
    renders(&[
        ("{{ and true false }}", "false"),
        (r#"{{ and 1 "a" }}"#, "a"),
        (r#"{{ or "" 0 "x" }}"#, "x"),
        (r#"{{ or "x" (truncate 0 "a") }}"#, "x"),
        (r#"{{ and "" (truncate 0 "a") }}"#, ""),
        ("{{ not 1 }}", "false"),
        (r#"{{ not "" }}"#, "true"),
        ("{{ not . }}", "false"),
        ("{{ not nil }}", "true"),
        ("{{ true | and false }}", "false"),
        ("{{ false | or true }}", "true"),
        (r#"{{ "x" | and }}"#, "x"),
        ("{{ and nil 1 }}", "<no value>"),
        ("{{ or nil nil }}", "<no value>"),
        ("{{ print (and nil 1) }}", "<nil>"),
        (r#"{{ or 0 false "" }}"#, ""),
    ]);
}

#[test]
fn comparisons_need_values_of_one_kind() {
    renders(&[
        ("{{ eq 1 1 }}", "true"),
        ("{{ eq 1 2 1 }}", "true"),
        (r#"{{ eq "a" "a" }}"#, "true"),
        (r#"{{ eq .Type "x" "IAM" }}"#, "true"),
        (r#"{{ eq .Type "IAM" 1 }}"#, "true"),
        ("{{ eq true true }}", "true"),
        ("{{ eq nil nil }}", "true"),
        ("{{ eq 1 nil }}", "false"),
        ("{{ eq . . }}", "true"),
        ("{{ ne 1 2 }}", "true"),
        ("{{ ne nil 1 }}", "true"),
        ("{{ lt 1 2 }}", "true"),
        (r#"{{ lt "a" "b" }}"#, "true"),
        (r#"{{ lt "\xff" "é" }}"#, "false"),
        ("{{ le 1 1 }}", "true"),
        ("{{ gt 2 1 }}", "true"),
        ("{{ ge 1 2 }}", "false"),
        (r#"{{ eq 'a' (index "a" 0) }}"#, "true"),
        (r#"{{ lt -1 (index "a" 0) }}"#, "true"),
        ("{{ 1 | eq 1 }}", "true"),
    ]);
    refuses(&[
        (
            r#"{{ eq "a" 1 }}"#,
            r#"line 1, column 4: eq: cannot compare string "a" with int 1"#,
        ),
        (
            r#"{{ eq .Type "x" 1 }}"#,
            r#"line 1, column 4: eq: cannot compare string "IAM" with int 1"#,
        ),
        (
            "{{ eq . 1 }}",
            "line 1, column 4: eq: cannot compare the whole data with int 1",
        ),
        (
            r#"{{ eq (index "a" 0) "a" }}"#,
            r#"line 1, column 4: eq: cannot compare uint8 0x61 with string "a""#,
        ),
        (
            r#"{{ lt 1 "a" }}"#,
            r#"line 1, column 4: lt: cannot compare int 1 with string "a""#,
        ),
        (
            "{{ lt true false }}",
            "line 1, column 4: lt: cannot compare bool true with bool false",
        ),
        (
            "{{ lt . . }}",
            "line 1, column 4: lt: cannot compare the whole data with the whole data",
        ),
        (
            "{{ le nil nil }}",
            "line 1, column 4: le: cannot compare nil with nil",
        ),
    ]);
}

#[test]
fn len_index_and_slice_count_bytes() {
    renders(&[
        ("{{ len .Type }}", "3"),
        (r#"{{ len "é" }}"#, "2"),
        ("{{ index .Type 0 }}", "73"),
        (r#"{{ index .Type 0 | printf "%c" }}"#, "I"),
        ("{{ index 5 }}", "5"),
        ("{{ slice .Type }}", "IAM"),
        ("{{ slice .Type 1 }}", "AM"),
        ("{{ slice .Type 1 2 }}", "A"),
        ("{{ slice .Type 2 2 }}", ""),
        ("{{ slice .Type 3 }}", ""),
        (r#"{{ slice .Type (index "\x01" 0) }}"#, "AM"),
        (r#"{{ slice "é" 0 1 | hex }}"#, "c3"),
    ]);
    refuses(&[
        (
            "{{ len 5 }}",
            "line 1, column 4: len: expected a string, found int 5",
        ),
        (
            "{{ len nil }}",
            "line 1, column 4: len: expected a string, found nil",
        ),
        (
            "{{ len . }}",
            "line 1, column 4: len: expected a string, found the whole data",
        ),
        (
            "{{ index .Type 3 }}",
            "line 1, column 4: index: index out of range: int 3",
        ),
        (
            "{{ index .Type -1 }}",
            "line 1, column 4: index: index out of range: int -1",
        ),
        (
            r#"{{ index .Type "a" }}"#,
            r#"line 1, column 4: index: cannot index with string "a""#,
        ),
        (
            "{{ index .Type nil }}",
            "line 1, column 4: index: cannot index with nil",
        ),
        (
            "{{ index .Type 0 0 }}",
            "line 1, column 4: index: cannot index uint8 0x49",
        ),
        (
            r#"{{ index . "Type" }}"#,
            "line 1, column 4: index: cannot index the whole data",
        ),
        (
            "{{ index nil }}",
            "line 1, column 4: index: nil cannot be indexed",
        ),
        (
            "{{ slice .Type 2 1 }}",
            "line 1, column 4: slice: invalid slice index: 2 > 1",
        ),
        (
            "{{ slice .Type 4 }}",
            "line 1, column 4: slice: index out of range: int 4",
        ),
        (
            "{{ slice .Type -1 }}",
            "line 1, column 4: slice: index out of range: int -1",
        ),
        (
            "{{ slice 5 }}",
            "line 1, column 4: slice: expected a string, found int 5",
        ),
    ]);
}

#[test]
fn print_puts_spaces_between_what_is_no_text() {
    renders(&[
        ("{{ print }}", ""),
        (r#"{{ print "a" "b" }}"#, "ab"),
        (r#"{{ print "a" 1 2 "b" }}"#, "a1 2b"),
        ("{{ print 1 2 true }}", "1 2 true"),
        (r#"{{ print nil "a" nil nil }}"#, "<nil>a<nil> <nil>"),
        ("{{ print . }}", "{IAM token-jo deploy.prod}"),
        (r#"{{ println 1 "a" nil }}"#, "1 a <nil>\n"),
        (r#"{{ print (index "a" 0) 1 }}"#, "97 1"),
    ]);
}

#[test]
fn html_js_and_urlquery_escape() {
    renders(&[
        (r#"{{ html "<a>&'\"\x00é" }}"#, "&lt;a&gt;&amp;&#39;&#34;�é"),
        (r#"{{ html 1 "a" nil }}"#, "1a&lt;no value&gt;"),
        ("{{ html nil }}", "&lt;no value&gt;"),
        (
            r#"{{ js "<a>&'\"=\\\n\x7f" }}"#,
            "\\u003Ca\\u003E\\u0026\\'\\\"\\u003D\\\\\\u000A\u{7f}",
        ),
        (
            "{{ js \"é\u{2028}😀\\xad\"|hex }}",
            "c3a95c7532303238f09f9880ad",
        ),
        ("{{ js 5 }}", "5"),
        (
            r#"{{ urlquery "a b&c/d?e=é~-_.+" }}"#,
            "a+b%26c%2Fd%3Fe%3D%C3%A9~-_.%2B",
        ),
        ("{{ urlquery 5 }}", "5"),
    ]);
}

#[test]
fn random_gives_letters_and_digits_of_the_wanted_length() {
    let text = render("{{ random 200 }}").unwrap();
    assert_eq!(text.len(), 200);
    assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    assert_ne!(
        render("{{ random 20 }}{{ random 20 }}").unwrap()[..20],
        text[20..40]
    );
    renders(&[("{{ random 0 }}", "")]);
    refuses(&[
        (
            "{{ random -1 }}",
            "line 1, column 4: random: length must be >= 0 but was -1",
        ),
        (
            "{{ random \"5\" }}",
            "line 1, column 4: random: expected a number, found string \"5\"",
        ),
    ]);
}

#[test]
fn uuid_is_sixteen_bytes_in_five_groups() {
    let text = render("{{ uuid }}").unwrap();
    let groups: Vec<usize> = text.split('-').map(str::len).collect();
    assert_eq!(groups, [8, 4, 4, 4, 12]);
    assert!(
        text.bytes()
            .all(|byte| matches!(byte, b'-' | b'0'..=b'9' | b'a'..=b'f'))
    );
    assert_ne!(render("{{ uuid }}{{ uuid }}").unwrap()[36..], text);
}

#[test]
fn the_time_is_that_of_the_clock() {
    renders(&[
        ("{{ unix_time }}", "1767323045"),
        ("{{ unix_time_millis }}", "1767323045067"),
    ]);
}

#[test]
fn truncate_keeps_bytes_and_a_cut_character_is_refused_only_if_it_stays_cut() {
    renders(&[
        ("{{ truncate 2 .Type }}", "IA"),
        ("{{ .DisplayName | truncate 10 }}", "token-jo"),
        ("{{ truncate 99999999999 .Type }}", "IAM"),
        ("{{ truncate (len .Type) .DisplayName }}", "tok"),
        ("{{ truncate 'a' .Type }}", "IAM"),
        (r#"{{ "é" | truncate 2 }}"#, "é"),
        (r#"{{ truncate 1 "é" | hex }}"#, "c3"),
    ]);
    refuses(&[
        (
            "{{ truncate 0 .Type }}",
            "line 1, column 4: truncate: max length must be > 0 but was 0",
        ),
        (
            "{{ truncate -1 .Type }}",
            "line 1, column 4: truncate: max length must be > 0 but was -1",
        ),
        (
            r#"{{ truncate "1" .Type }}"#,
            r#"line 1, column 4: truncate: expected a number, found string "1""#,
        ),
        (
            "{{ truncate 1 1 }}",
            "line 1, column 4: truncate: expected a string, found int 1",
        ),
        (
            "{{ truncate nil .Type }}",
            "line 1, column 4: truncate: expected a number, found nil",
        ),
        (
            "{{ truncate (index .Type 0) .DisplayName }}",
            "line 1, column 4: truncate: expected a number, found uint8 0x49",
        ),
        (
            r#"{{ truncate 1 "é" }}"#,
            "the rendered text is not valid UTF-8: a character was cut in two, or bytes were decoded that are no text",
        ),
    ]);
}

#[test]
fn truncate_sha256_puts_a_hash_of_the_tail_in_its_place() {
    renders(&[
        (r#"{{ truncate_sha256 9 "012345678" }}"#, "012345678"),
        (r#"{{ truncate_sha256 9 "0123456789" }}"#, "015e2b0d3"),
        (
            r#"{{ truncate_sha256 12 "0123456789abc" }}"#,
            "0123b75a6156",
        ),
        (
            r#"{{ truncate_sha256 13 "0123456789abc" }}"#,
            "0123456789abc",
        ),
    ]);
    refuses(&[
        (
            "{{ truncate_sha256 8 .DisplayName }}",
            "line 1, column 4: truncate_sha256: max length must be > 8 but was 8",
        ),
        (
            "{{ truncate_sha256 -5 .Type }}",
            "line 1, column 4: truncate_sha256: max length must be > 8 but was -5",
        ),
    ]);
}

#[test]
fn case_and_replacement_work_on_characters() {
    renders(&[
        ("{{ uppercase .DisplayName }}", "TOKEN-JO"),
        ("{{ lowercase .Type }}", "iam"),
        (r#"{{ uppercase "àéñ" }}"#, "ÀÉÑ"),
        (r#"{{ uppercase "straße" }}"#, "STRAßE"),
        (r#"{{ uppercase "a\xff" }}"#, "A�"),
        (r#"{{ replace "-" "_" .DisplayName }}"#, "token_jo"),
        (r#"{{ replace "aa" "b" "aaaaa" }}"#, "bba"),
        (r#"{{ replace "x" "" .Type }}"#, "IAM"),
        (r#"{{ replace "" "x" .Type }}"#, "xIxAxMx"),
        (r#"{{ replace "" "x" "" }}"#, "x"),
        (r#"{{ replace "" "x" "é\xff" | hex }}"#, "78c3a978ff78"),
    ]);
}

#[test]
fn encodings_are_undone_by_their_decoders() {
    renders(&[
        (
            "{{ sha256 .Type }}",
            "7c6826445eb63c221233eae6d2d98f14b6b9e5b50abb9eefc83fc967dfa28382",
        ),
        (
            r#"{{ sha256 "" }}"#,
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ),
        ("{{ base64 .Type }}", "SUFN"),
        (r#"{{ base64 "a\xff" }}"#, "Yf8="),
        (r#"{{ decode_base64 "SUFN" }}"#, "IAM"),
        (r#"{{ decode_base64 "SU\nFN\r" }}"#, "IAM"),
        (r#"{{ decode_base64 "SR==" }}"#, "I"),
        ("{{ hex .Type }}", "49414d"),
        (r#"{{ decode_hex "4941" }}"#, "IA"),
        (r#"{{ decode_hex "4A4d" }}"#, "JM"),
        (r#"{{ decode_hex "ff" | base64 }}"#, "/w=="),
    ]);
    refuses(&[
        (
            r#"{{ decode_base64 "SQ" }}"#,
            "line 1, column 4: decode_base64: the text is not padded base64",
        ),
        (
            r#"{{ decode_base64 "S Q=" }}"#,
            "line 1, column 4: decode_base64: the text is not padded base64",
        ),
        (
            r#"{{ decode_base64 "_-==" }}"#,
            "line 1, column 4: decode_base64: the text is not padded base64",
        ),
        (
            r#"{{ decode_hex "494" }}"#,
            "line 1, column 4: decode_hex: the number of hexadecimal digits is odd",
        ),
        (
            r#"{{ decode_hex "4g" }}"#,
            "line 1, column 4: decode_hex: 'g' is not a hexadecimal digit",
        ),
        (
            r#"{{ decode_hex "ff" }}"#,
            "the rendered text is not valid UTF-8: a character was cut in two, or bytes were decoded that are no text",
        ),
    ]);
}

#[test]
fn glob_takes_a_star_for_any_text() {
    renders(&[
        (r#"{{ glob "tok*" .DisplayName }}"#, "true"),
        (r#"{{ glob "*" "" }}"#, "true"),
        (r#"{{ glob "" "a" }}"#, "false"),
        (r#"{{ glob "" "" }}"#, "true"),
        (r#"{{ glob "a" "a" }}"#, "true"),
        (r#"{{ glob "*a" "ba" }}"#, "true"),
        (r#"{{ glob "a*b*c" "aXbYc" }}"#, "true"),
        (r#"{{ glob "a*b*c" "ac" }}"#, "false"),
        (r#"{{ glob "ab*ba" "aba" }}"#, "false"),
        (r#"{{ glob "*ab*ab" "ab" }}"#, "false"),
        (r#"{{ glob "*a*" "bab" }}"#, "true"),
        (r#"{{ glob "a?" "ab" }}"#, "false"),
    ]);
}
