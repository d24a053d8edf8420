//! `printf`: verbs, flags, and what it writes for a directive that does not fit.

use super::{refuses, renders};

#[test]
fn verbs_write_texts() {
    renders(&[
        (
            r#"{{ printf "%s %v %q" "a\"b" "c" "d\n" }}"#,
            r#"a"b c "d\n""#,
        ),
        (
            r#"{{ printf "%x %X" "hello" "hello" }}"#,
            "68656c6c6f 68656C6C6F",
        ),
        (
            r#"{{ printf "% x %#x %# x" "ab" "ab" "ab" }}"#,
            "61 62 0x6162 0x61 0x62",
        ),
        (
            r#"{{ printf "%q" "\x00\x7f\u00ad\u200b\xff" }}"#,
            r#""\x00\x7f\u00ad\u200b\xff""#,
        ),
        (
            r#"{{ printf "%+q" "é\U0001f600" }}"#,
            r#""\u00e9\U0001f600""#,
        ),
        (r#"{{ printf "%#q %#q" "a\tb" "a`" }}"#, "`a\tb` \"a`\""),
        (r#"{{ printf "%x" "" }}"#, ""),
        (r#"{{ printf "%#v" "a`" }}"#, r#""a`""#),
        (r#"{{ printf "%%" }}"#, "%"),
    ]);
}

#[test]
fn verbs_write_numbers() {
    renders(&[
        (
            r#"{{ printf "%d %v %b %o %O %x %X" 42 42 42 42 42 42 42 }}"#,
            "42 42 101010 52 0o52 2a 2A",
        ),
        (
            r#"{{ printf "%#b %#o %#O %#x %#X" 42 42 42 42 42 }}"#,
            "0b101010 052 0o052 0x2a 0X2A",
        ),
        (r#"{{ printf "%d %x" -3 -255 }}"#, "-3 -ff"),
        (
            r#"{{ printf "%c %q %U %#U" 233 233 233 233 }}"#,
            "é 'é' U+00E9 U+00E9 'é'",
        ),
        (r#"{{ printf "%c" -1 }}"#, "�"),
        (
            r#"{{ printf "%q %q %+q" 10 39 233 }}"#,
            r"'\n' '\'' '\u00e9'",
        ),
        (
            r#"{{ printf "%d %c %v %#v" (index "a" 0) (index "a" 0) (index "a" 0) (index "a" 0) }}"#,
            "97 a 97 0x61",
        ),
    ]);
}

#[test]
fn verbs_write_other_values() {
    renders(&[
        (
            r#"{{ printf "%t %v %5t|%-7t|" true false true false }}"#,
            "true false  true|false  |",
        ),
        (r#"{{ printf "%v %5v|" nil nil }}"#, "<nil> <nil>|"),
        (r#"{{ printf "%v" . }}"#, "{IAM token-jo deploy.prod}"),
        (
            r#"{{ printf "%+v" . }}"#,
            "{Type:IAM DisplayName:token-jo PolicyName:deploy.prod}",
        ),
        (
            r#"{{ printf "%q" . }}"#,
            r#"{"IAM" "token-jo" "deploy.prod"}"#,
        ),
        (r#"{{ printf "%5.2s" . }}"#, "{   IA    to    de}"),
        (
            r#"{{ printf "%T %T %T %T %T" 1 "a" true (index "a" 0) nil }}"#,
            "int string bool uint8 <nil>",
        ),
    ]);
}

#[test]
fn width_precision_and_flags_shape_what_is_written() {
    renders(&[
        (
            r#"{{ printf "%5s|%-5s|%05s|%.2s|%5.1s|" "ab" "ab" "ab" "abc" "ab" }}"#,
            "   ab|ab   |000ab|ab|    a|",
        ),
        (r#"{{ printf "%5s|" "é" }}"#, "    é|"),
        (r#"{{ printf "%.1s" "éa" }}"#, "é"),
        (
            r#"{{ printf "%8q|%-8q|%.1q" "ab" "ab" "ab" }}"#,
            r#"    "ab"|"ab"    |"a""#,
        ),
        (
            r#"{{ printf "%12x|%-12x|%012x|%.2x" "hello" "hello" "hello" "hello" }}"#,
            "  68656c6c6f|68656c6c6f  |0068656c6c6f|6865",
        ),
        (
            r#"{{ printf "%6d|%-6d|%06d|%-06d|" 42 42 42 42 }}"#,
            "    42|42    |000042|42    |",
        ),
        (
            r#"{{ printf "%+d % d %+06d % 06d|%+.3d" 42 42 42 42 42 }}"#,
            "+42  42 +00042  00042|+042",
        ),
        (
            r#"{{ printf "%.0d|%5.0d|%05.0d|%.d|" 0 0 0 0 }}"#,
            "|     |     ||",
        ),
        (r#"{{ printf "%06.3d|%.10d" 42 42 }}"#, "   042|0000000042"),
        (
            r#"{{ printf "%#08x %08x %.4x" 255 255 255 }}"#,
            "0x000000ff 000000ff 00ff",
        ),
        (
            r#"{{ printf "%5c|%-5c|%05c|" 65 65 65 }}"#,
            "    A|A    |0000A|",
        ),
        (
            r#"{{ printf "%12U|%-12U|%.6U" 10 10 10 }}"#,
            "      U+000A|U+000A      |U+00000A",
        ),
        (r#"{{ printf "%-+5d|%+-5d|" 3 3 }}"#, "+3   |+3   |"),
    ]);
}

#[test]
fn arguments_can_be_chosen_and_can_be_widths() {
    renders(&[
        (r#"{{ printf "%[2]d %[1]d" 1 2 }}"#, "2 1"),
        (r#"{{ printf "%[1]s %[1]s" "a" }}"#, "a a"),
        (r#"{{ printf "%[2]*[1]d" 5 8 }}"#, "       5"),
        (
            r#"{{ printf "%*d|%-*d|%*d|" 5 1 5 1 -5 1 }}"#,
            "    1|1    |1    |",
        ),
        (r#"{{ printf "%.*d" 3 5 }}"#, "005"),
        (r#"{{ printf "%.[2]*[1]d" 7 3 }}"#, "007"),
        (r#"{{ printf "%[1]d %d" 1 2 }}"#, "1 2"),
    ]);
}

#[test]
fn what_does_not_fit_is_named_in_place() {
    renders(&[
        (r#"{{ printf "%d" }}"#, "%!d(MISSING)"),
        (r#"{{ printf "%d" "a" }}"#, "%!d(string=a)"),
        (r#"{{ printf "%s" 5 }}"#, "%!s(int=5)"),
        (r#"{{ printf "%s" nil }}"#, "%!s(<nil>)"),
        (r#"{{ printf "%t" 1 }}"#, "%!t(int=1)"),
        (r#"{{ printf "%z" 1 }}"#, "%!z(int=1)"),
        (r#"{{ printf "%-5z|" 1 }}"#, "%!z(int=1    )|"),
        (r#"{{ printf "%d" 1 2 }}"#, "1%!(EXTRA int=2)"),
        (
            r#"{{ printf "%d" 1 "a" nil }}"#,
            "1%!(EXTRA string=a, <nil>)",
        ),
        (r#"{{ printf "" true }}"#, "%!(EXTRA bool=true)"),
        (
            r#"{{ printf "%d" . }}"#,
            "{%!d(string=IAM) %!d(string=token-jo) %!d(string=deploy.prod)}",
        ),
        (r#"{{ printf "a%" }}"#, "a%!(NOVERB)"),
        (r#"{{ printf "%5" }}"#, "%!(NOVERB)"),
        (r#"{{ printf "%é" 1 }}"#, "%!é(int=1)"),
        (r#"{{ printf "%!" 1 }}"#, "%!!(int=1)"),
        (r#"{{ printf "%."  1 }}"#, "%!.(int=1)"),
        (r#"{{ printf "%[3]d" 1 }}"#, "%!d(BADINDEX)"),
        (r#"{{ printf "%[x]d" 1 }}"#, "%!d(BADINDEX)"),
        (r#"{{ printf "%[1d" 1 }}"#, "%!d(BADINDEX)"),
        (r#"{{ printf "%[]d" 1 }}"#, "%!d(BADINDEX)"),
        (r#"{{ printf "%[3]2d" 1 }}"#, "%!d(BADINDEX)"),
        (r#"{{ printf "%*d" "a" 1 }}"#, "%!(BADWIDTH)1"),
        (r#"{{ printf "%.*d" -3 5 }}"#, "%!(BADPREC)5"),
        (r#"{{ printf "%f" 1 }}"#, "%!f(int=1)"),
        (r#"{{ printf "%p" "a" }}"#, "%!p(string=a)"),
    ]);
}

#[test]
fn the_format_is_a_text_and_its_numbers_are_bounded() {
    refuses(&[
        (
            "{{ printf  }}",
            "line 1, column 4: printf takes at least 1 argument, not 0",
        ),
        (
            "{{ printf 5 }}",
            "line 1, column 4: printf: expected a string, found int 5",
        ),
        (
            "{{ printf nil }}",
            "line 1, column 4: printf: expected a string, found nil",
        ),
        (
            r#"{{ printf "%16385d" 1 }}"#,
            "line 1, column 4: printf: the number 16385 in the format is above 16384",
        ),
        (
            r#"{{ printf "%.16385d" 1 }}"#,
            "line 1, column 4: printf: the number 16385 in the format is above 16384",
        ),
        (
            r#"{{ printf "%*d" 16385 1 }}"#,
            "line 1, column 4: printf: the number 16385 in the format is above 16384",
        ),
        (
            r#"{{ printf "%99999999999999999999999d" 1 }}"#,
            "line 1, column 4: printf: the number 18446744073709551615 in the format is above 16384",
        ),
    ]);
}
