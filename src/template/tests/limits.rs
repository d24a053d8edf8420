//! No template stops the process, however it is written.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use super::{refuses, render};
use crate::template::{LONGEST_TEMPLATE, Template};

const TOO_MUCH_WORK: &str = "the template takes too much work: make its loops and texts shorter";

#[test]
fn loops_end() {
    let nested = format!("{}{}", "{{range 99}}".repeat(40), "{{end}}".repeat(40));
    for template in ["{{ range 9223372036854775807 }}{{ end }}", &nested] {
        let error = render(template).unwrap_err();
        assert!(error.ends_with(TOO_MUCH_WORK), "{error}");
    }
}

#[test]
fn texts_stay_short() {
    refuses(&[
        (
            r#"{{ $x := "12345678" }}{{ range 99 }}{{ $x = print $x $x }}{{ end }}"#,
            "line 1, column 45: print: a text of 32768 bytes is too long: at most 16384 are allowed",
        ),
        (
            "{{ random 16385 }}",
            "line 1, column 4: random: a text of 16385 bytes is too long: at most 16384 are allowed",
        ),
        (
            "{{ range 9999 }}12345{{ end }}",
            "line 1, column 17: a text of 16385 bytes is too long: at most 16384 are allowed",
        ),
        (
            r#"{{ range 9999 }}{{ "12345" }}{{ end }}"#,
            "line 1, column 20: a text of 16385 bytes is too long: at most 16384 are allowed",
        ),
    ]);
    for format in ["%16384d", "%016384d", "%-16384d", "%.16384d", "%.16382U"] {
        let text = render(&format!(r#"{{{{ printf "{format}" 1 }}}}"#)).unwrap();
        assert_eq!(text.len(), 16384, "{format}");
    }
    assert_eq!(render("{{ random 16384 }}").unwrap().len(), 16384);
}

#[test]
fn costly_calls_do_not_add_up() {
    let text = "a".repeat(4000);
    let formats = "%.0[1]s".repeat(400);
    for call in [
        r#"replace "a" "" $x"#,
        r#"replace "" "" $x"#,
        r#"glob "*a*a*a*b" $x"#,
        "sha256 $x",
        "timestamp $x",
        &format!(r#"printf "{formats}" $x"#),
        &format!("print{}", " $x".repeat(1000)),
    ] {
        let template = format!(
            r#"{{{{ $x := "{text}" }}}}{{{{ range 99999 }}}}{{{{ $y := {call} }}}}{{{{ end }}}}"#
        );
        let error = render(&template).unwrap_err();
        assert!(error.ends_with(TOO_MUCH_WORK), "{call}: {error}");
    }
}

#[test]
fn variables_are_no_way_around_the_limits() {
    let declarations = (0..3000).fold(String::new(), |text, n| {
        text + &format!("{{{{$v{n} := 1}}}}")
    });
    let template = format!("{declarations}{{{{range 99999}}}}{{{{$v := $v0}}}}{{{{end}}}}");
    let error = render(&template).unwrap_err();
    assert!(error.ends_with(TOO_MUCH_WORK), "{error}");
}

#[test]
fn nesting_is_bounded() {
    let parentheses = |depth| format!("{{{{{}1{}}}}}", "(".repeat(depth), ")".repeat(depth));
    let blocks = |depth| format!("{}x{}", "{{if 1}}".repeat(depth), "{{end}}".repeat(depth));
    assert_eq!(render(&parentheses(50)).as_deref(), Ok("1"));
    assert_eq!(render(&blocks(50)).as_deref(), Ok("x"));
    for template in [parentheses(51), parentheses(9000), blocks(51), blocks(4000)] {
        let error = render(&template).unwrap_err();
        assert!(
            error.ends_with("nested more than 50 levels deep"),
            "{error}"
        );
    }
}

#[test]
fn what_is_only_long_is_not_deep() {
    let arms = format!("{{{{if 0}}}}{}{{{{end}}}}", "{{else if 0}}".repeat(4000));
    assert_eq!(render(&arms).as_deref(), Ok(""));
    let stages = format!("{{{{1{}}}}}", "|print".repeat(9000));
    assert_eq!(render(&stages).as_deref(), Ok("1"));
    let fields = format!("{{{{$x := .}}}}{{{{$x.Type{}}}}}", ".A".repeat(9000));
    assert_eq!(
        render(&fields).unwrap_err(),
        "line 1, column 14: no field .A in string \"IAM\""
    );
}

#[test]
fn a_template_has_a_greatest_length() {
    assert!(Template::parse(&" ".repeat(LONGEST_TEMPLATE)).is_ok());
    assert_eq!(
        Template::parse(&" ".repeat(LONGEST_TEMPLATE + 1))
            .unwrap_err()
            .to_string(),
        "line 1, column 1: the template is 65537 bytes long, and at most 65536 are allowed"
    );
}

#[test]
fn no_sequence_of_words_and_signs_makes_it_panic() {
    const PIECES: &[&str] = &[
        "{{",
        "}}",
        "{{- ",
        " -}}",
        "{{/*",
        "*/}}",
        "{{if ",
        "{{else}}",
        "{{else if ",
        "{{end}}",
        "{{with ",
        "{{range ",
        "{{break}}",
        "{{continue}}",
        "{{$x := ",
        "{{$x = ",
        "$x",
        "$",
        ".",
        ".Type",
        ".Foo",
        " ",
        "\n",
        "|",
        " | ",
        "(",
        ")",
        ",",
        "=",
        "\"",
        "`",
        "'",
        "\\",
        "é",
        "\u{ff}",
        "-",
        "+",
        "0",
        "1",
        "99999999999999999999",
        "0x",
        "-5",
        "'a'",
        "\"%*[2].3d\"",
        "\"%[9]q%\"",
        "\"\\xff\"",
        "\"2006 .000 __2\"",
        "true",
        "nil",
        "printf ",
        "print ",
        "truncate ",
        "truncate_sha256 ",
        "replace ",
        "glob ",
        "index ",
        "slice ",
        "len ",
        "and ",
        "or ",
        "eq ",
        "lt ",
        "random ",
        "decode_hex ",
        "decode_base64 ",
        "uppercase ",
        "html ",
        "js ",
        "timestamp ",
        "uuid",
        "unix_time",
    ];
    let mut random = StdRng::seed_from_u64(20_260_102);
    let mut rendered = 0;
    for _ in 0..20_000 {
        let length = random.random_range(1..12);
        let pieces: String = (0..length)
            .filter_map(|_| PIECES.choose(&mut random).copied())
            .collect();
        // Half of them as the content of an action, where more of them mean something.
        let template = if random.random() {
            format!("{{{{$x := 1}}}}{{{{{pieces}}}}}")
        } else {
            pieces
        };
        rendered += usize::from(render(&template).is_ok());
    }
    assert!(rendered > 500, "only {rendered} templates were valid");
}

#[test]
fn a_message_is_short_whatever_the_template_holds_or_makes() {
    let long = "x".repeat(60_000);
    for template in [
        format!("{{{{ {long} }}}}"),
        format!("{{{{ .{long} }}}}"),
        format!(r#"{{{{ len nil "{long}" }}}}"#),
        "{{ truncate (random 16384) .Type }}".to_owned(),
    ] {
        let error = render(&template).unwrap_err();
        assert!(error.starts_with("line 1, column "), "{error}");
        assert!(error.len() < 600, "{} bytes", error.len());
    }
}
