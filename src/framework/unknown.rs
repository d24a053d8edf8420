//! What was sent under a name that a path does not know, and what was probably meant.

use super::field::FieldSchema;
use crate::excerpt::cut;

/// How many names a warning lists; a body can have any number of them.
const NAMED: usize = 20;
/// And so many characters of them.
const LONGEST_LIST: usize = 1000;
/// A longer name is no slip of the pen.
const LONGEST: usize = 64;

/// A name that is no field of the path and is sent nevertheless, with what to do instead.
pub(super) type Misnomer = (&'static str, &'static str);

/// Warnings for the names; none for none. The first is in the words of Vault.
pub(super) fn warnings(
    unknown: &[&str],
    fields: &[FieldSchema],
    captured: &[&str],
    misnomers: &[Misnomer],
) -> Vec<String> {
    if unknown.is_empty() {
        return Vec::new();
    }
    let named = &unknown[..unknown.len().min(NAMED)];
    let more = match unknown.len() - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let mut warnings = vec![format!(
        "Endpoint ignored these unrecognized parameters: [{}]{more}",
        cut(&named.join(" "), LONGEST_LIST)
    )];
    let known = known(fields, captured);
    for name in named {
        if let Some((_, advice)) = misnomers.iter().find(|(misnomer, _)| misnomer == name) {
            warnings.push(format!("{name} has no effect: {advice}"));
        } else if let Some(meant) = nearest(name, &known) {
            warnings.push(format!("{name} has no effect: {meant} was probably meant"));
        }
    }
    warnings
}

/// Why a write with these names is refused, where nothing may be ignored.
pub(super) fn refusal(unknown: &[&str], fields: &[FieldSchema], captured: &[&str]) -> String {
    let known = known(fields, captured);
    let named = unknown[..unknown.len().min(NAMED)].iter().map(|name| {
        let name = cut(name, LONGEST);
        match nearest(&name, &known) {
            Some(meant) => format!("{name} ({meant} was probably meant)"),
            None => name.to_string(),
        }
    });
    let named: Vec<_> = named.collect();
    let takes = match known.as_slice() {
        [] => "no parameters".to_owned(),
        known => known.join(", "),
    };
    format!(
        "nothing was done, for this path does not know {}: it takes {takes}",
        named.join(", ")
    )
}

/// The names of the fields that a request may send.
fn known(fields: &[FieldSchema], captured: &[&str]) -> Vec<&'static str> {
    let sent = fields
        .iter()
        .filter(|field| !field.deprecated && !captured.contains(&field.name));
    sent.map(|field| field.name).collect()
}

/// The field whose name differs from this one by a slip or two, if there is one.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    if name.len() > LONGEST {
        return None;
    }
    let written = letters(name);
    let slips = (written.len() / 4).max(1);
    known
        .iter()
        .map(|field| (strsim::osa_distance(&written, &letters(field)), *field))
        .filter(|(distance, field)| *distance <= slips && *distance < field.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, field)| field)
}

/// `policyArns`, `policy-arns` and `POLICY_ARNS` are spellings of one name.
fn letters(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 5] = [
        "policy_arns",
        "role_arns",
        "user_path",
        "permissions_boundary_arn",
        "lease",
    ];

    #[test]
    fn a_slip_of_the_pen_is_known_for_what_was_meant() {
        for (name, meant) in [
            ("permission_boundary_arn", "permissions_boundary_arn"),
            ("permissions_boundary", "permissions_boundary_arn"),
            ("policy_arn", "policy_arns"),
            ("polciy_arns", "policy_arns"),
            ("policyArns", "policy_arns"),
            ("POLICY-ARNS", "policy_arns"),
            ("role_arn", "role_arns"),
            ("leese", "lease"),
        ] {
            assert_eq!(nearest(name, &KNOWN), Some(meant), "{name}");
        }
    }

    #[test]
    fn a_name_that_is_like_none_is_not_guessed_at() {
        for name in [
            "",
            "_",
            "color",
            "ttl",
            "path",
            "username",
            &"x".repeat(100),
        ] {
            assert_eq!(nearest(name, &KNOWN), None, "{name}");
        }
    }

    #[test]
    fn only_the_first_of_very_many_names_are_listed() {
        let names: Vec<_> = (0..1000).map(|n| format!("n{n}")).collect();
        let unknown: Vec<_> = names.iter().map(String::as_str).collect();

        let warnings = warnings(&unknown, &[], &[], &[]);

        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].ends_with(" n19] and 980 more"), "{warnings:?}");
    }
}
