//! Literals, fields, pipelines, blocks and variables.

use super::{refuses, renders};

#[test]
fn text_stays_as_it_is_outside_of_actions() {
    renders(&[
        ("", ""),
        ("plain", "plain"),
        ("foo-{{ .DisplayName }}", "foo-token-jo"),
        ("}}", "}}"),
        ("{ {", "{ {"),
        ("{{ .Type }}}", "IAM}"),
        ("a\nb{{ .Type }}\nc", "a\nbIAM\nc"),
        ("{{ .Type }}é", "IAMé"),
        ("x{{ .DisplayName\n| uppercase\n| truncate 3 }}y", "xTOKy"),
    ]);
}

#[test]
fn trim_markers_take_the_white_space_of_the_text_beside_them() {
    renders(&[
        ("a {{- .Type -}} b", "aIAMb"),
        ("a{{- .Type -}}b", "aIAMb"),
        ("x \n\t{{- .Type }} y", "xIAM y"),
        ("x {{ .Type -}} \r\n y", "x IAMy"),
        ("{{- .Type}}", "IAM"),
        ("{{-  .Type  -}}", "IAM"),
        (" {{- .Type }}", " IAM"),
        ("a {{- /* c */ -}} b", "ab"),
        (
            "{{ if eq .Type \"IAM\" -}}\n  iam-{{ .PolicyName }}\n{{- else -}}\n  sts\n{{- end }}",
            "iam-deploy.prod",
        ),
        (
            "{{- $n := printf \"%s-%s\" .DisplayName .PolicyName -}}\n{{- $n | truncate 10 -}}\n-x",
            "token-jo-d-x",
        ),
    ]);
}

#[test]
fn comments_leave_nothing() {
    renders(&[
        ("{{/* c */}}", ""),
        ("a {{- /* c */}} b", "a b"),
        ("a {{/* c */ -}} b", "a b"),
        ("{{/* a\nb */}}x", "x"),
        ("{{/* }} */}}", ""),
        ("{{/**/}}", ""),
    ]);
    refuses(&[
        (
            "{{ /* c */}}",
            r#"line 1, column 4: a comment must directly follow {{ or "{{- ""#,
        ),
        (
            "{{/* c */ }}",
            r#"line 1, column 1: nothing may stand between the end of a comment and }} or " -}}""#,
        ),
        (
            "{{/* c */  -}}",
            r#"line 1, column 1: nothing may stand between the end of a comment and }} or " -}}""#,
        ),
        ("{{/* c }}", "line 1, column 1: unclosed comment"),
        ("{{/*/}}", "line 1, column 1: unclosed comment"),
    ]);
}

#[test]
fn numbers_and_characters_are_written_as_in_go() {
    renders(&[
        ("{{ 1 }}", "1"),
        ("{{ -1 }}", "-1"),
        ("{{ +1 }}", "1"),
        ("{{ 0x1F }}", "31"),
        ("{{ 0X1f }}", "31"),
        ("{{ 0b101 }}", "5"),
        ("{{ 0o17 }}", "15"),
        ("{{ 017 }}", "15"),
        ("{{ 0_1 }}", "1"),
        ("{{ 0x_1 }}", "1"),
        ("{{ 1_000 }}", "1000"),
        ("{{ -0 }}", "0"),
        ("{{ 9223372036854775807 }}", "9223372036854775807"),
        ("{{ -9223372036854775808 }}", "-9223372036854775808"),
        ("{{ 'a' }}", "97"),
        (r"{{ '\n' }}", "10"),
        (r"{{ '\'' }}", "39"),
        (r"{{ '\xff' }}", "255"),
        (r"{{ '\377' }}", "255"),
        (r"{{ '\u00e9' }}", "233"),
        ("{{ 'é' }}", "233"),
        (r"{{ '\U0010ffff' }}", "1114111"),
    ]);
    refuses(&[
        (
            "{{ 08 }}",
            r#"line 1, column 4: "08" is no whole number; floating-point and complex numbers are not supported"#,
        ),
        (
            "{{ 1_ }}",
            r#"line 1, column 4: "1_" is no whole number; floating-point and complex numbers are not supported"#,
        ),
        (
            "{{ 1__0 }}",
            r#"line 1, column 4: "1__0" is no whole number; floating-point and complex numbers are not supported"#,
        ),
        (
            "{{ 0x }}",
            r#"line 1, column 4: "0x" is no whole number; floating-point and complex numbers are not supported"#,
        ),
        (
            "{{ 0xg }}",
            r#"line 1, column 4: "0xg" is no whole number; floating-point and complex numbers are not supported"#,
        ),
        (
            "{{ 1abc }}",
            r#"line 1, column 4: "1abc" is no whole number; floating-point and complex numbers are not supported"#,
        ),
        (
            "{{ 18446744073709551616 }}",
            "line 1, column 4: the number 18446744073709551616 does not fit in 64 bits",
        ),
        (
            "{{ 9223372036854775808 }}",
            "line 1, column 4: the number 9223372036854775808 does not fit in 64 bits",
        ),
        (
            "{{ -9223372036854775809 }}",
            "line 1, column 4: the number -9223372036854775809 does not fit in 64 bits",
        ),
        (
            "{{ 1-1 }}",
            r#"line 1, column 4: "1-1" is no whole number; floating-point and complex numbers are not supported"#,
        ),
        (
            "{{ - 1 }}",
            r#"line 1, column 4: "-" is no whole number; floating-point and complex numbers are not supported"#,
        ),
        ("{{ '' }}", "line 1, column 4: '' is not one character"),
        ("{{ 'ab' }}", "line 1, column 4: 'ab' is not one character"),
        (
            r"{{ '\400' }}",
            r"line 1, column 4: an octal escape sequence is above \377",
        ),
        (
            r"{{ '\ud800' }}",
            "line 1, column 4: U+D800 is not a character",
        ),
        (
            r#"{{ '\"' }}"#,
            r#"line 1, column 4: unknown escape sequence \""#,
        ),
        (
            "{{ 'a }}",
            "line 1, column 4: unterminated character constant",
        ),
        (
            "{{ 1 2 }}",
            "line 1, column 6: an argument is given to what is not a function",
        ),
        (
            "{{ 1.Foo }}",
            r#"line 1, column 4: "1.Foo" is no whole number; floating-point and complex numbers are not supported"#,
        ),
    ]);
}

#[test]
fn texts_and_other_literals_are_written_as_in_go() {
    renders(&[
        ("{{ true }}", "true"),
        ("{{ false }}", "false"),
        (r#"{{ "a\tb" }}"#, "a\tb"),
        (r#"{{ "\x41\102\u0043\U00000044" }}"#, "ABCD"),
        (r#"{{ "'" }}"#, "'"),
        (r#"{{ `'"\n` }}"#, r#"'"\n"#),
        ("{{ `a\r\nb` }}", "a\nb"),
        ("{{ `a\nb` }}", "a\nb"),
        (r#"{{ "\303\251" }}"#, "é"),
        (r#"{{ "}}" }}"#, "}}"),
        (r#"{{ "\xc3" }}{{ "\xa9" }}"#, "é"),
        ("{{`}}`}}", "}}"),
    ]);
    refuses(&[
        (
            r#"{{ "\q" }}"#,
            r"line 1, column 4: unknown escape sequence \q",
        ),
        (
            r#"{{ "\'" }}"#,
            r"line 1, column 4: unknown escape sequence \'",
        ),
        (
            r#"{{ "\u12" }}"#,
            "line 1, column 4: an escape sequence lacks digits: it takes 4 more",
        ),
        (
            "{{ \"a\nb\" }}",
            "line 1, column 4: unterminated quoted string",
        ),
        (
            r#"{{ "a }}"#,
            "line 1, column 4: unterminated quoted string",
        ),
        (
            "{{ `a }}",
            "line 1, column 4: unterminated raw quoted string",
        ),
        ("{{ nil }}", "line 1, column 4: nil is not a command"),
        (
            r#"{{ "a""b" }}"#,
            r#"line 1, column 7: a space is missing before "\"b\"""#,
        ),
        (
            r#"{{ "a".Foo }}"#,
            r#"line 1, column 4: "\"a\"" has no field .Foo"#,
        ),
        (
            "{{ truey }}",
            r#"line 1, column 4: function "truey" is not defined"#,
        ),
    ]);
}

#[test]
fn fields_are_those_of_the_data() {
    renders(&[
        ("{{ .Type }}", "IAM"),
        ("{{ $.Type }}", "IAM"),
        ("{{ (.Type) }}", "IAM"),
        ("{{ (.).Type }}", "IAM"),
        ("{{ ($).Type }}", "IAM"),
        ("{{ . }}", "{IAM token-jo deploy.prod}"),
        ("{{.Type}}{{.PolicyName}}", "IAMdeploy.prod"),
        (
            "{{ with .Type }}{{ . }}{{ $.PolicyName }}{{ end }}",
            "IAMdeploy.prod",
        ),
    ]);
    refuses(&[
        (
            "{{ .Foo }}",
            "line 1, column 4: no field .Foo: the fields are .Type, .DisplayName, .PolicyName",
        ),
        (
            "{{ .type }}",
            "line 1, column 4: no field .type: the fields are .Type, .DisplayName, .PolicyName",
        ),
        (
            "{{ .Type.Foo }}",
            r#"line 1, column 4: no field .Foo in string "IAM""#,
        ),
        (
            "{{ $.Foo }}",
            "line 1, column 4: no field .Foo: the fields are .Type, .DisplayName, .PolicyName",
        ),
        (
            "{{ (.Type).Foo }}",
            r#"line 1, column 4: no field .Foo in string "IAM""#,
        ),
        (
            "{{ unix_time.Foo }}",
            r#"line 1, column 4: no field .Foo in string "1767323045""#,
        ),
        (
            "{{ ..  }}",
            r#"line 1, column 5: a space is missing before ".""#,
        ),
        ("{{ .Type$ }}", "line 1, column 9: unexpected '$' in a name"),
        (
            r#"{{ .Type "x" }}"#,
            "line 1, column 10: an argument is given to what is not a function",
        ),
        (
            "{{ . Type }}",
            r#"line 1, column 6: function "Type" is not defined: the field is written .Type"#,
        ),
        (
            "{{ Type }}",
            r#"line 1, column 4: function "Type" is not defined: the field is written .Type"#,
        ),
        (
            r#"{{ .Type == "IAM" }}"#,
            r#"line 1, column 10: unexpected "=" in command: values are compared with eq"#,
        ),
        ("{{ .Type !  }}", "line 1, column 10: unexpected '!'"),
        (
            "{{ .é }}",
            "line 1, column 4: no field .é: the fields are .Type, .DisplayName, .PolicyName",
        ),
        (
            "two\nlines {{ .Foo }}",
            "line 2, column 10: no field .Foo: the fields are .Type, .DisplayName, .PolicyName",
        ),
    ]);
}

#[test]
fn a_piped_value_is_the_last_argument() {
    renders(&[
        ("{{ .Type | lowercase }}", "iam"),
        ("{{ .Type|print|print }}", "IAM"),
        (r#"{{ "a" | printf "%s-%s" "b" }}"#, "b-a"),
        (r#"{{ .DisplayName | replace "-" "_" }}"#, "token_jo"),
        ("{{ (.DisplayName | sha256) | truncate 8 }}", "dded86b9"),
        (r#"{{ printf "%s" unix_time }}"#, "1767323045"),
        (
            r#"{{ print unix_time "-" unix_time }}"#,
            "1767323045-1767323045",
        ),
        ("{{ print (1) (2) }}", "1 2"),
        ("{{ .Type | }}", "IAM"),
        ("{{ 0 | slice .Type }}", "IAM"),
        (r#"{{ eq .Type "STS" | not }}"#, "true"),
        ("{{ print (print) }}", ""),
    ]);
    refuses(&[
        (
            "{{ foo }}",
            r#"line 1, column 4: function "foo" is not defined"#,
        ),
        (
            "{{ .Type | foo }}",
            r#"line 1, column 12: function "foo" is not defined"#,
        ),
        (
            r#"{{ "x" | .Type }}"#,
            r#"line 1, column 10: a function is expected after |, not ".Type""#,
        ),
        (
            "{{ | print }}",
            r#"line 1, column 4: unexpected "|" in operand"#,
        ),
        (
            "{{ .Type || print }}",
            r#"line 1, column 11: a function is expected after |, not "|""#,
        ),
        (
            "{{ truncate }}",
            "line 1, column 4: truncate takes 2 arguments, not 0",
        ),
        (
            "{{ .Type | truncate }}",
            "line 1, column 12: truncate takes 2 arguments, not 1",
        ),
        (
            "{{ truncate 1 2 3 }}",
            "line 1, column 4: truncate takes 2 arguments, not 3",
        ),
        (
            "{{ .Type | unix_time }}",
            "line 1, column 12: unix_time takes 0 arguments, not 1",
        ),
        (
            "{{ eq 1 }}",
            "line 1, column 4: eq takes at least 2 arguments, not 1",
        ),
        (
            "{{ slice .Type 0 1 2 }}",
            "line 1, column 4: slice takes 1 to 3 arguments, not 4",
        ),
        (
            "{{ print(1)(2) }}",
            r#"line 1, column 9: a space is missing before "(""#,
        ),
        (
            "{{ print ) }}",
            r#"line 1, column 10: unexpected ")" in command"#,
        ),
        (
            "{{ (print }}",
            "line 1, column 5: this parenthesis is not closed",
        ),
        (
            "{{ ((print 1) }}",
            "line 1, column 5: this parenthesis is not closed",
        ),
        (
            "{{ print () }}",
            "line 1, column 11: missing value for parenthesized pipeline",
        ),
        ("{{ print if }}", "line 1, column 10: unexpected keyword if"),
        (
            "{{ .Type, .Type }}",
            r#"line 1, column 9: unexpected "," in command"#,
        ),
        (
            "{{ .Type = 1 }}",
            r#"line 1, column 10: unexpected "=" in command: values are compared with eq"#,
        ),
        (
            "{{ .Type := 1 }}",
            r#"line 1, column 10: unexpected ":=" in command"#,
        ),
        ("{{  }}", "line 1, column 5: missing value for command"),
    ]);
}

#[test]
fn if_and_with_choose_by_the_truth_of_a_value() {
    renders(&[
        ("{{if true}}a{{end}}", "a"),
        ("{{if false}}a{{end}}", ""),
        ("{{if .Type}}a{{else}}b{{end}}", "a"),
        ("{{if 0}}a{{else}}b{{end}}", "b"),
        ("{{if .}}a{{end}}", "a"),
        ("{{if and nil 1}}a{{else}}b{{end}}", "b"),
        (r#"{{if ""}}a{{else if 1}}b{{else}}c{{end}}"#, "b"),
        ("{{if false}}a{{else if 0}}b{{else}}c{{end}}", "c"),
        ("{{if true}}{{if false}}x{{else}}y{{end}}{{end}}", "y"),
        ("{{if(true)}}a{{end }}", "a"),
        (r#"{{if $x := ""}}a{{else if eq $x ""}}b{{end}}"#, "b"),
        ("{{with .Type}}{{.}}{{end}}", "IAM"),
        (r#"{{with ""}}a{{else}}{{.Type}}{{end}}"#, "IAM"),
        (
            r#"{{with ""}}a{{else with .PolicyName}}{{.}}{{else}}c{{end}}"#,
            "deploy.prod",
        ),
        ("{{with $x := .Type}}{{$x}}{{.}}{{end}}", "IAMIAM"),
        (
            r#"{{ if or (glob "admin-*" .DisplayName) (gt (len .PolicyName) 5) }}long{{ else }}short{{ end }}"#,
            "long",
        ),
    ]);
}

#[test]
fn range_counts_up_to_a_number() {
    renders(&[
        ("{{range 3}}{{.}}{{end}}", "012"),
        ("{{range 0}}x{{else}}y{{end}}", "y"),
        ("{{range -2}}x{{else}}{{.Type}}{{end}}", "IAM"),
        ("{{range and nil 1}}x{{else}}y{{end}}", "y"),
        ("{{range $i := 3}}{{$i}}{{.}}{{end}}", "001122"),
        (
            "{{range 3}}{{if eq . 1}}{{continue}}{{end}}{{.}}{{end}}",
            "02",
        ),
        ("{{range 3}}{{if eq . 1}}{{break}}{{end}}{{.}}{{end}}", "0"),
        ("{{range 2}}{{range 2}}{{.}}{{break}}{{end}}{{end}}", "00"),
        (
            "{{range 2}}{{range 0}}{{else}}{{break}}{{end}}x{{end}}",
            "xx",
        ),
        (
            "{{range 2}}{{range 0}}{{else}}{{continue}}{{end}}x{{end}}",
            "",
        ),
        (
            r#"{{range len .Type}}{{printf "%c." (index $.Type .)}}{{end}}"#,
            "I.A.M.",
        ),
        (
            r#"{{range (index "\x02" 0)}}{{printf "%T" .}}{{end}}"#,
            "uint8uint8",
        ),
    ]);
    refuses(&[
        (
            "{{range .Type}}{{end}}",
            r#"line 1, column 9: only numbers can be ranged over, not string "IAM""#,
        ),
        (
            "{{range .}}{{end}}",
            "line 1, column 9: only numbers can be ranged over, not the whole data",
        ),
        (
            "{{range $i, $v := 3}}{{end}}",
            "line 1, column 9: only numbers can be ranged over, and that takes one variable",
        ),
        ("{{break}}", "line 1, column 1: {{break}} outside {{range}}"),
        (
            "{{range 3}}x{{else}}{{continue}}{{end}}",
            "line 1, column 21: {{continue}} outside {{range}}",
        ),
        (
            "{{range 3}}{{break 1}}{{end}}",
            r#"line 1, column 20: unexpected "1" in break"#,
        ),
    ]);
}

#[test]
fn variables_live_to_the_end_of_their_block() {
    renders(&[
        ("{{$x := 1}}{{$x}}", "1"),
        ("{{$x:=1}}{{$x}}", "1"),
        ("{{$x := 1}}{{$x = 2}}{{$x}}", "2"),
        ("{{$x := 1}}{{if true}}{{$x := 2}}{{$x}}{{end}}{{$x}}", "21"),
        ("{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}", "2"),
        ("{{$x := 1}}{{range 3}}{{$x = .}}{{end}}{{$x}}", "2"),
        ("{{$x := 9}}{{range $x = 3}}{{$x}}{{end}}{{$x}}", "0122"),
        ("{{$x := 9}}{{range $x = 0}}{{else}}e{{end}}{{$x}}", "e0"),
        ("{{range $x := 0}}{{else}}[{{$x}}]{{end}}", "[0]"),
        ("{{$x := ($y := 3)}}{{$x}}{{$y}}", "33"),
        ("{{range $x := ($y := 2)}}{{$x}}{{$y}}{{end}}", "0212"),
        ("{{or false ($x := 1)}}{{$x}}", "11"),
        ("{{$ := 1}}{{$}}", "1"),
        ("{{$x := .}}{{$x.Type}}", "IAM"),
        (r#"{{$é_1 := 3 | printf "%d-%d" 4}}{{$é_1}}"#, "4-3"),
        ("{{$x := and nil 1}}{{$x}}{{print $x}}", "<no value><nil>"),
    ]);
    refuses(&[
        (
            "{{$x}}",
            "line 1, column 3: undefined variable $x: declare it with $x := …",
        ),
        (
            "{{$x = 1}}",
            "line 1, column 3: undefined variable $x: declare it with $x := …",
        ),
        (
            "{{$x := $x}}",
            "line 1, column 9: undefined variable $x: declare it with $x := …",
        ),
        ("{{$x := }}", "line 1, column 9: missing value for command"),
        (
            "{{$x, $y := 1}}",
            "line 1, column 3: only one variable can be set",
        ),
        ("{{$x= 1}}", "line 1, column 5: unexpected '=' in a name"),
        (
            "{{if true}}{{$x := 1}}{{end}}{{$x}}",
            "line 1, column 32: undefined variable $x: declare it with $x := …",
        ),
        (
            "{{or true ($x := 1)}}{{$x}}",
            "line 1, column 24: undefined variable $x",
        ),
    ]);
}

#[test]
fn a_broken_block_is_refused_with_its_place() {
    refuses(&[
        ("{{", "line 1, column 1: unclosed action: }} is missing"),
        (
            "{{ .Type",
            "line 1, column 1: unclosed action: }} is missing",
        ),
        ("a\n{{ .Type }", "line 2, column 10: unexpected '}'"),
        (
            "{{if true}}a",
            "line 1, column 1: this {{if}} has no {{end}}",
        ),
        ("{{end}}", "line 1, column 1: unexpected {{end}}"),
        ("{{else}}", "line 1, column 1: unexpected {{else}}"),
        (
            "{{if true}}{{else}}{{else}}{{end}}",
            "line 1, column 1: this {{if}} has a second {{else}}",
        ),
        (
            "{{if true}}{{else if}}{{end}}",
            "line 1, column 21: missing value for if",
        ),
        ("{{if}}{{end}}", "line 1, column 5: missing value for if"),
        (
            "{{if true}}{{else with 1}}{{end}}",
            r#"line 1, column 19: unexpected "with" in else"#,
        ),
        (
            "{{if true}}{{end x}}",
            r#"line 1, column 18: unexpected "x" in end"#,
        ),
        (
            "{{with 1}}{{range 2}}{{end}}",
            "line 1, column 1: this {{with}} has no {{end}}",
        ),
    ]);
}

#[test]
fn what_go_has_and_user_names_do_not_need_is_refused_by_name() {
    refuses(&[
        (
            r#"{{ define "a" }}x{{ end }}"#,
            "line 1, column 1: {{define}} is not supported: there is one template only",
        ),
        (
            r#"{{ template "a" }}"#,
            "line 1, column 1: {{template}} is not supported: there is one template only",
        ),
        (
            r#"{{ block "a" . }}x{{ end }}"#,
            "line 1, column 1: {{block}} is not supported: there is one template only",
        ),
        (
            "{{ call .Type }}",
            r#"line 1, column 4: function "call" is not defined"#,
        ),
        (
            "{{ 1.5 }}",
            r#"line 1, column 4: "1.5" is no whole number; floating-point and complex numbers are not supported"#,
        ),
        (
            "{{ 1e3 }}",
            r#"line 1, column 4: "1e3" is no whole number; floating-point and complex numbers are not supported"#,
        ),
        (
            "{{ .5 }}",
            r#"line 1, column 4: ".5" is no whole number; floating-point and complex numbers are not supported"#,
        ),
        (
            "{{ 1i }}",
            r#"line 1, column 4: "1i" is no whole number; floating-point and complex numbers are not supported"#,
        ),
        (
            "{{ 1+2i }}",
            r#"line 1, column 4: "1+2i" is no whole number; floating-point and complex numbers are not supported"#,
        ),
    ]);
}
