//! What templates render to. The outputs in the tables are those of Go 1.26, with the same data,
//! functions and time; so is which of them are refused, save where a test says otherwise.

mod functions;
mod language;
mod layout;
mod limits;
mod printf;

use rand::SeedableRng;
use rand::rngs::StdRng;
use time::macros::datetime;

use super::{Fields, Template};
use crate::clock::ManualClock;

/// What Vault renders user names with unless it is told otherwise.
const DEFAULT: &str = r#"{{ if (eq .Type "STS") }}{{ printf "vault-%s-%s"  (unix_time) (random 20) | truncate 32 }}{{ else }}{{ printf "vault-%s-%s-%s" (printf "%s-%s" (.DisplayName) (.PolicyName) | truncate 42) (unix_time) (random 20) | truncate 64 }}{{ end }}"#;

/// Parses and renders at a fixed time, with random values that are the same in every run.
fn render_with(text: &str, fields: [(&str, &str); 3]) -> Result<String, String> {
    let clock = ManualClock::new(datetime!(2026-01-02 03:04:05.067089 UTC));
    let mut random = StdRng::seed_from_u64(1);
    let template = Template::parse(text).map_err(|error| error.to_string())?;
    template
        .render(&Fields::from(fields), &clock, &mut random)
        .map_err(|error| error.to_string())
}

fn render(text: &str) -> Result<String, String> {
    let names = [("DisplayName", "token-jo"), ("PolicyName", "deploy.prod")];
    render_with(text, [("Type", "IAM"), names[0], names[1]])
}

/// Each template, and what it renders to.
fn renders(cases: &[(&str, &str)]) {
    for (template, text) in cases {
        assert_eq!(render(template).as_deref(), Ok(*text), "{template}");
    }
}

/// Each template, and why it does not parse or render.
fn refuses(cases: &[(&str, &str)]) {
    for (template, message) in cases {
        let error = render(template).unwrap_err();
        assert_eq!(error, *message, "{template}");
    }
}

#[test]
fn the_default_template_names_iam_users_after_display_name_and_role() {
    let name = render(DEFAULT).unwrap();
    let random = name
        .strip_prefix("vault-token-jo-deploy.prod-1767323045-")
        .unwrap();
    assert_eq!(random.len(), 20);
    assert!(random.bytes().all(|byte| byte.is_ascii_alphanumeric()));
}

#[test]
fn the_default_template_keeps_long_iam_user_names_to_64_bytes_with_four_random_characters() {
    let (display_name, role) = ("d".repeat(40), "r".repeat(40));
    let fields = [
        ("Type", "IAM"),
        ("DisplayName", display_name.as_str()),
        ("PolicyName", role.as_str()),
    ];
    let name = render_with(DEFAULT, fields).unwrap();
    assert_eq!(name.len(), 64);
    let random = name
        .strip_prefix(&format!("vault-{display_name}-r-1767323045-"))
        .unwrap();
    assert_eq!(random.len(), 4);
}

#[test]
fn the_default_template_keeps_federated_user_names_to_32_bytes_with_fifteen_random_characters() {
    let fields = [("Type", "STS"), ("DisplayName", ""), ("PolicyName", "")];
    let name = render_with(DEFAULT, fields).unwrap();
    assert_eq!(name.len(), 32);
    let random = name.strip_prefix("vault-1767323045-").unwrap();
    assert_eq!(random.len(), 15);
}

#[test]
fn one_template_renders_many_times() {
    let template = Template::parse("{{ .Type }}-{{ random 20 }}").unwrap();
    let clock = ManualClock::default();
    let mut random = crate::chance::generator().unwrap();
    let mut render = |kind| {
        let fields = Fields::from([("Type", kind)]);
        template.render(&fields, &clock, &mut random).unwrap()
    };
    let (first, second, third) = (render("IAM"), render("IAM"), render("STS"));
    assert_ne!(first, second);
    assert!(first.starts_with("IAM-") && third.starts_with("STS-"));
}
